"""`opsroom restore`: a backup verified and unpacked as a state folder that `opsroom serve` opens.

Local, and no operation: it works where no server runs and none can, on a machine that has nothing but the archive.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from opsroom.kernel.errors import Conflict, Invalid


@click.command("restore")
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--into", type=click.Path(path_type=Path), required=True, help="A folder that does not exist yet.")
@click.option(
    "--keys", type=click.Path(path_type=Path), help="Folder of the keys that signed the ledger; default: OPSROOM_KEYS."
)
@click.option("--database", default="", help="An empty PostgreSQL (postgresql://…) to load the tables into.")
def restore(archive: Path, into: Path, keys: Path | None, database: str) -> None:
    """Verify a backup, and unpack it as a state folder."""
    from opsroom.areas.automation.archive import prove
    from opsroom.areas.automation.archive import restore as unpack
    from opsroom.kernel.settings import load_settings
    from opsroom.kernel.verification import CheckpointKey

    into = into.absolute()
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise Conflict(f"{into} is not empty; name a folder that does not exist yet")
    into.parent.mkdir(parents=True, exist_ok=True)
    folder = (keys or load_settings().keys).absolute()
    signed = (folder / "ledger-signing-key").exists()
    # Unpacked beside and renamed, so that a folder of this name is always a whole one.
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=".restore-") as work:
        unpacked = Path(work) / "archive"
        unpacked.mkdir()
        with archive.open("rb") as content:
            manifest = unpack(content, unpacked)
        proof = prove(unpacked, manifest, CheckpointKey(folder) if signed else None)
        _arrange(unpacked, manifest, Path(work) / "state")
        if database:
            _load(Path(work) / "state" / "opsroom.sqlite", database)
        if into.exists():
            into.rmdir()
        (Path(work) / "state").rename(into)
    click.echo(f"{into}: {proof.members} members hold what they held when the backup was made")
    if manifest["what"] == "opsroom":
        chain = (
            "chain and signed checkpoints hold"
            if signed
            else f"chain holds; {folder} has no signing key to check its signatures"
        )
        click.echo(f"{proof.events} events of the ledger: {chain}")
        if signed and _newest(folder) > manifest["last_seq"]:
            click.echo(
                f"{folder / 'checkpoints.jsonl'} tells of events after this backup: `opsroom ledger verify` will report a cut tail"
            )
        where = " OPSROOM_DATABASE=…" if database else ""
        click.echo(f"start it with: OPSROOM_STATE={into} OPSROOM_KEYS={folder}{where} opsroom serve")


def _load(file: Path, database: str) -> None:
    """Moves the tables from the file to a database."""
    from opsroom.kernel.copying import load
    from opsroom.kernel.store import Store

    if not file.exists():
        raise Invalid("this backup holds a folder, and no tables; leave --database out")
    target = Store(database)
    try:
        load(file, target)
    finally:
        target.close()
    file.unlink()


def _newest(keys: Path) -> int:
    """The last event that the checkpoints beside the keys tell of."""
    from opsroom.kernel.verification import CheckpointKey, read_checkpoints

    known = read_checkpoints(CheckpointKey(keys).file)
    return known[-1].seq if known else 0


def _arrange(unpacked: Path, manifest: Mapping[str, Any], state: Path) -> None:
    """Puts the members where they stand in a state folder, or the files of a folder where they stood below it."""
    if manifest["what"] == "folder":
        files = unpacked / "files"
        files.mkdir(exist_ok=True)
        files.rename(state)
        return
    state.mkdir(mode=0o700)
    shutil.move(unpacked / "opsroom.sqlite", state / "opsroom.sqlite")
    for blob in (unpacked / "blobs").glob("*"):
        place = state / "blobs" / blob.name[:2]
        place.mkdir(parents=True, exist_ok=True)
        shutil.move(blob, place / blob.name)
    if (unpacked / "checkpoints.jsonl").exists():
        shutil.move(unpacked / "checkpoints.jsonl", state / "checkpoints.jsonl")
