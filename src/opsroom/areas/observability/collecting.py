"""The duty of collecting logs: follows what deployed services write, each line once it is kept for good.

Services write to `logs/ENVIRONMENT/SERVICE/DEPLOYMENT.N.log` under the state folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from opsroom.contracts.area import Duty
from opsroom.telemetry.loglines import Origin
from opsroom.telemetry.logs import LogFile, LogFollower

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.store import Store

OPEN_AT_ONCE = 200
"""Files that are followed at a time; of more, those that grew last come first."""
QUIET_ROUNDS = 10
"""Rounds without growth after which a file is let go until it grows again."""
PIECES = 8


class Collector:
    """Follows the log files of a plane. What stands still is let go, so that old deployments hold no file open."""

    def __init__(self, plane: Plane) -> None:
        self._root = plane.settings.state / "logs"
        self._quiet: dict[Path, tuple[tuple[int, int, int], int]] = {}
        self._followed: list[tuple[LogFile, int, int]] = []
        self._follower = LogFollower(
            plane.telemetry, self._files, plane.settings.state / "log-positions.json", plane.clock, plane.journal,
            redact=plane.secrets.redact,
        )  # fmt: skip

    def work(self) -> None:
        """Reads on until nothing is new, at most a few pieces of each file: a flood does not keep the duty from its lease."""
        for _ in range(PIECES):
            stored = self._follower.round()
            self._settle()
            if not stored:
                break

    def _files(self) -> list[LogFile]:
        """The files to follow, those that grew last first."""
        growing = [one for one in self._growing() if not self._is_quiet(*one)]
        growing.sort(key=lambda one: -one[1])
        self._followed = growing[:OPEN_AT_ONCE]
        return [file for file, _, _ in self._followed]

    def _is_quiet(self, file: LogFile, changed: int, size: int) -> bool:
        seen, rounds = self._quiet.get(file.path, ((0, -1, 0), 0))
        return seen[:2] == (changed, size) and rounds >= QUIET_ROUNDS

    def _settle(self) -> None:
        """Counts, for each file that was looked at, the rounds in which nothing of it was new."""
        for file, changed, size in self._followed:
            seen = (changed, size, self._follower.offset(file.path))
            before, rounds = self._quiet.get(file.path, (seen, -1))
            self._quiet[file.path] = (seen, rounds + 1 if before == seen else 0)

    def _growing(self) -> Iterator[tuple[LogFile, int, int]]:
        """Every log file with its time of change and its size; a name that is none of ours is left alone."""
        for environment in _folders(self._root):
            for service in _folders(Path(environment.path)):
                for entry in os.scandir(service.path):
                    deployment, _, number = entry.name.removesuffix(".log").rpartition(".")
                    if (
                        not entry.name.endswith(".log")
                        or not deployment
                        or not number.isdecimal()
                        or not entry.is_file()
                    ):
                        continue
                    stat = entry.stat()
                    attributes = {"deployment": deployment, "instance": number}
                    origin = Origin(service=service.name, environment=environment.name, attributes=attributes)
                    yield LogFile(path=Path(entry.path), origin=origin), stat.st_mtime_ns, stat.st_size


_collectors: WeakKeyDictionary[Store, Collector] = WeakKeyDictionary()


def collect(plane: Plane) -> None:
    if plane.store not in _collectors:
        _collectors[plane.store] = Collector(plane)
    _collectors[plane.store].work()


def _folders(path: Path) -> Iterator[os.DirEntry[str]]:
    if path.is_dir():
        yield from (entry for entry in os.scandir(path) if entry.is_dir())


COLLECTING = Duty(name="logs", seconds=0.5, run=collect)
