"""Time and ids, the two things tests must be able to replace."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Clock(Protocol):
    """Gives aware UTC times, monotonic seconds, and ids that sort by the time they were made."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    def new_id(self, prefix: str) -> str: ...


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and `Z`; fixed width, so text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_stamp(text: str) -> datetime:
    """Reads RFC 3339; a time without an offset is a ValueError."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace("z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no offset; write it as RFC 3339, such as 2026-11-23T14:02:00Z")
    return moment.astimezone(UTC)


def encode_id(prefix: str, milliseconds: int, randomness: int) -> str:
    """`prefix_` + 10 characters of time + 12 of randomness, Crockford base 32 in lower case (as ULID orders them)."""
    value, digits = (milliseconds << 60) | (randomness & ((1 << 60) - 1)), []
    for _ in range(22):
        digits.append(_ALPHABET[value & 31])
        value >>= 5
    return f"{prefix}_{''.join(reversed(digits))}"


class SystemClock:
    """The machine's own time and randomness. Ids of one process sort in the order they were made, even within a millisecond."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = (0, 0)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def new_id(self, prefix: str) -> str:
        with self._lock:
            now, (last, randomness) = time.time_ns() // 1_000_000, self._last
            # A clock set back must not put a newer id before an older one: the last millisecond is used on.
            self._last = (now, int.from_bytes(os.urandom(7))) if now > last else (last, randomness + 1)
            return encode_id(prefix, *self._last)


class FakeClock:
    """A clock that a test moves by hand; ids count up."""

    def __init__(self, at: datetime = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)) -> None:
        self._now = at
        self._ids = 0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return encode_id(prefix, int(self._now.timestamp() * 1000), self._ids)

    def advance(self, by: timedelta | float) -> None:
        self._now += by if isinstance(by, timedelta) else timedelta(seconds=by)
