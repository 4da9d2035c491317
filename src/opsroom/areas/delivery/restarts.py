"""A service that is started again is told once, whenever the server dies: a note stands from before the start until it is told.

Notes are `instances/ID.restart` in the state folder, beside the pid files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opsroom.areas.delivery import deployment_store as rows
from opsroom.areas.delivery.model import Deployment, Instance
from opsroom.areas.delivery.processes import Process

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane

SUFFIX = ".restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A restart that is under way: the one after `restarts` others, of the process `before`, whose log ended in `last_line`."""

    restarts: int
    last_line: str
    before: Process | None

    @classmethod
    def read(cls, file: Path) -> Note | None:
        try:
            value = json.loads(file.read_text())
            before = value["before"]
            return cls(
                restarts=value["restarts"],
                last_line=value["last_line"],
                before=Process(**before) if before else None,
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, file: Path) -> None:
        partial = file.with_name(f".{file.name}.part")
        partial.write_text(json.dumps(asdict(self)))
        partial.replace(file)


def note_of(pid_file: Path) -> Path:
    """Where the note of the process with this pid file stands."""
    return pid_file.with_suffix(SUFFIX)


def begin(pid_file: Path, instance: Instance, last_line: str) -> Note:
    """Notes that a process is about to be started again; a note that a restart which did not come about left is gone on with."""
    known = Note.read(note_of(pid_file))
    if known is not None and known.restarts == instance.restarts:
        return known
    note = Note(restarts=instance.restarts, last_line=last_line, before=Process.read(pid_file))
    note.write(note_of(pid_file))
    return note


def tell(plane: Plane, deployment: Deployment, instance: Instance, note: Note, pid_file: Path) -> None:
    """Records `service.restarted`, once for a note, and takes the note away."""
    with plane.store.begin() as tx:
        if instance.restarts == note.restarts:
            rows.change_instance(tx, instance.id, restarts=note.restarts + 1, started=plane.clock.now())
        plane.ledger.record(
            tx, "service.restarted", actor="system:delivery", cause=deployment.finished_event or deployment.started_event,
            subjects=rows.subjects(deployment), key=f"restart:{instance.id}:{note.restarts}",
            data={"instance": instance.id, "number": instance.number, "restarts": note.restarts + 1,
                  "version": deployment.version, "last_line": note.last_line},
        )  # fmt: skip
    note_of(pid_file).unlink(missing_ok=True)


def untold(folder: Path, instances: list[Instance]) -> Iterator[tuple[Instance, Note, Path]]:
    """Restarts that came about, though a server died before it could tell them: the process is another than the one before."""
    known = {instance.id: instance for instance in instances}
    for file in sorted(folder.glob(f"*{SUFFIX}")):
        instance, note, pid_file = known.get(file.stem), Note.read(file), file.with_suffix(".json")
        if instance is None or note is None:
            file.unlink(missing_ok=True)  # Nothing of it can be told any more, and nothing will be started.
        elif (now := Process.read(pid_file)) is not None and now != note.before:
            yield instance, note, pid_file
