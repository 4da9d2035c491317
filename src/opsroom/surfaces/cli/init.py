"""`opsroom init`: a small commented ops repo to start from."""

from __future__ import annotations

from pathlib import Path

import click

from opsroom.kernel.errors import Conflict, Unavailable

STARTER = Path(__file__).with_name("starter")
_MOVED = {"workflows": ".opsroom/workflows", "gitignore": ".gitignore"}


@click.command("init")
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
def init(folder: Path) -> None:
    """Write a small ops repo into FOLDER (default: here): one service, one environment, one workflow, all commented.

    A file that is already there is not overwritten: then nothing is written."""
    for path in write_starter(folder):
        click.echo(path)
    click.echo(f"\n{folder / 'README.md'} says what each file decides and how to start.")


def write_starter(folder: Path) -> list[str]:
    """Writes the starter's files and returns their paths in the repository. Conflict: one of them is already there."""
    files = starter_files()
    there = [path for path in files if (folder / path).exists()]
    if there:
        raise Conflict(f"{folder / there[0]} is already there; give `opsroom init` an empty folder")
    for path, data in files.items():
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        except OSError as error:
            raise Unavailable(f"{target} cannot be written ({error.strerror}); give a folder that is yours") from None
    return list(files)


def starter_files() -> dict[str, bytes]:
    """The starter by path in the repository, sorted."""
    found = {}
    for file in sorted(STARTER.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            first, *rest = file.relative_to(STARTER).parts
            found["/".join([_MOVED.get(first, first), *rest])] = file.read_bytes()
    return found
