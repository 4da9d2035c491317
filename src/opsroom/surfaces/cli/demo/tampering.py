"""What someone with the database in hand might do to the ledger, done to copies, each given to the check."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from opsroom.kernel.clock import SystemClock
from opsroom.kernel.ledger import GENESIS, Ledger, event_hash
from opsroom.kernel.store import Store
from opsroom.kernel.verification import CheckpointKey, read_checkpoints, verify
from opsroom.surfaces.cli.demo.server import Server


def found_on_copies(server: Server) -> dict[str, bool]:
    """Makes a copy of the server's database for each kind of tampering and says whether the check found it."""
    key = CheckpointKey(server.keys)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, tamper in TAMPERING.items():
            copy = Path(folder) / f"{name.replace(' ', '-')}.sqlite"
            _copy(server.state / "opsroom.sqlite", copy)
            tamper(copy)
            store = Store(f"sqlite:///{copy}")
            result = verify(store, Ledger(store, SystemClock()), read_checkpoints(key.file), key.public())
            store.close()
            found[name] = not result.ok
    return found


def _edit_payload(copy: Path) -> None:
    _sql(copy, "UPDATE events SET data = '{\"edited\":true}' WHERE id = (SELECT event FROM seals WHERE seq = 3)")


def _delete_row(copy: Path) -> None:
    _sql(copy, "DELETE FROM events WHERE id = (SELECT event FROM seals WHERE seq = 3)")


def _cut_tail(copy: Path) -> None:
    cut = "(SELECT max(seq) / 2 FROM seals)"
    _sql(
        copy,
        f"DELETE FROM events WHERE id IN (SELECT event FROM seals WHERE seq > {cut})",  # noqa: S608
        "DELETE FROM events WHERE id IN (SELECT event FROM unsealed)",
        "DELETE FROM unsealed",
        "DELETE FROM seals WHERE event NOT IN (SELECT id FROM events)",
    )


def _recompute(copy: Path) -> None:
    """Edits who did it and computes every later hash anew, as someone who knows the code could."""
    _sql(copy, "UPDATE events SET actor = 'person:nobody' WHERE id = (SELECT event FROM seals WHERE seq = 3)")
    store = Store(f"sqlite:///{copy}")
    ledger, previous, after = Ledger(store, SystemClock()), GENESIS, 0
    while events := ledger.read(after, limit=1000):
        with store.begin() as tx:
            for event in events:
                after = event.seq or 0
                previous = event_hash(previous, after, event)
                tx.execute("UPDATE seals SET hash = :hash WHERE seq = :seq", {"hash": previous, "seq": after})
    store.close()


TAMPERING: dict[str, Callable[[Path], None]] = {
    "payload edited": _edit_payload,
    "row deleted": _delete_row,
    "tail cut": _cut_tail,
    "chain recomputed": _recompute,
}


def _copy(source: Path, target: Path) -> None:
    reading, writing = sqlite3.connect(f"file:{source}?mode=ro", uri=True), sqlite3.connect(target)
    try:
        reading.backup(writing)
    finally:
        reading.close()
        writing.close()


def _sql(copy: Path, *statements: str) -> None:
    connection = sqlite3.connect(copy)
    try:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    finally:
        connection.close()
