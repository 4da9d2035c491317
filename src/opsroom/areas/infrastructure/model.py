"""What infrastructure sees: this machine, its tools, and things that end on a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

THRESHOLDS = (30, 14, 7, 1)
"""Days before its end at which an expiry is told of, each once."""

ToolState = Literal["up", "missing", "failed", "unknown"]
ExpiryState = Literal["over", "near", "ok", "no end", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The file system that holds a folder; bytes."""

    folder: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """This machine as its kernel tells. Memory figures are None where /proc does not say."""

    name: str
    cpus: int
    memory_bytes: int | None
    memory_free_bytes: int | None
    load: float
    started: datetime | None
    kernel: str
    system: str
    architecture: str
    python: str
    disks: tuple[Disk, ...]

    def lasting(self) -> dict[str, str]:
        """What does not change by use: a change of it is told."""
        return {
            "cpus": str(self.cpus), "memory": "unknown" if self.memory_bytes is None else f"{self.memory_bytes:,} bytes",
            "kernel": self.kernel, "system": self.system, "architecture": self.architecture, "python": self.python,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """Something Opsroom works with: a program, its telemetry store, its database, a repository or a channel."""

    kind: str
    name: str
    version: str
    state: ToolState
    detail: str
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A thing that ends or grows old. `expires` None: it has no end, or (`unknown`) its end cannot be known. `cause` is the event
    that began it ("" : none is known)."""

    kind: str
    id: str
    name: str
    owner: str
    since: datetime | None
    expires: datetime | None
    breaks: tuple[str, ...]
    unknown: str = ""
    cause: str = ""

    def state(self, now: datetime) -> ExpiryState:
        if self.expires is None:
            return "unknown" if self.unknown else "no end"
        if self.expires <= now:
            return "over"
        return "near" if self.expires - now <= timedelta(days=THRESHOLDS[0]) else "ok"

    def threshold(self, now: datetime) -> int | None:
        """The smallest number of days before the end that has been reached; None: none, or it is over. A thing made to last less
        than that is not told of: its end was plain when it was made."""
        if self.expires is None or self.expires <= now:
            return None
        reached = [days for days in THRESHOLDS if self.expires - now <= timedelta(days=days)]
        if not reached:
            return None
        life = None if self.since is None else self.expires - self.since
        return min(reached) if life is None or life > timedelta(days=min(reached)) else None


def changes(before: Mapping[str, str] | None, now: Mapping[str, str]) -> Sequence[str]:
    """What is otherwise than it was, in words; seen for the first time, just that."""
    if before is None:
        return ("seen for the first time",)
    found = [
        f"{name} is now {now[name]}, was {before[name]}" for name in now if name in before and before[name] != now[name]
    ]
    found += [f"{name} is new: {now[name]}" for name in now if name not in before]
    return found + [f"{name} is gone" for name in before if name not in now]
