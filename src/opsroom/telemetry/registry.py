"""Which series are known: gives them their ids, holds the limits on their number and labels, says what must be defined."""

from __future__ import annotations

from collections.abc import Iterable

from opsroom.telemetry.limits import Limits
from opsroom.telemetry.port import Labels, metric_name
from opsroom.telemetry.records import definition, series_id

_REDEFINE_MS = 6 * 3_600_000
"""A definition is written again after this long, so that the store's retention does not take it from a living series."""


class Refused(Exception):
    """A series that is over a limit; `str()` is the reason."""


class Registry:
    """Not thread-safe: its owner serialises. Sequences are the spool's, which are milliseconds at the least."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ids: dict[Labels, int] = {}
        self._defined: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._defined)

    def admit(self, labels: Labels, now: int) -> tuple[int, bytes | None]:
        """The series' id, and its definition where the store needs it. `now` is in ms. Raises Refused."""
        identity = self._ids.get(labels)
        if identity is None:
            self._check(labels)
            if len(self._ids) > 2 * self._limits.series:
                self._ids.clear()
            identity = self._ids[labels] = series_id(labels)
        if now - self._defined.get(identity, -_REDEFINE_MS) < _REDEFINE_MS:
            return identity, None
        if identity not in self._defined and len(self._defined) >= self._limits.series:
            self._forget_old(now)
            if len(self._defined) >= self._limits.series:
                raise Refused(f"the limit of {self._limits.series:,} series is reached; drop a label with many values")
        self._defined[identity] = now
        return identity, definition(identity, labels, now // 1000)

    def withdraw(self, identities: Iterable[int]) -> None:
        """These definitions were not acknowledged after all."""
        for identity in identities:
            self._defined.pop(identity, None)

    def reset(self, stored: Iterable[int], applied: int) -> None:
        """The store has exactly these, and every record up to `applied`; definitions in later records are on their way."""
        pending = {identity: at for identity, at in self._defined.items() if at > applied}
        kept = {identity: self._defined.get(identity, applied) for identity in stored}
        self._defined = kept | pending

    def _check(self, labels: Labels) -> None:
        limits = self._limits
        if not metric_name(labels):
            raise Refused("a series needs a name; give it the label __name__")
        if len(labels) > limits.labels:
            raise Refused(f"{len(labels)} labels are over the limit of {limits.labels}")
        for name, value in labels:
            if len(name) > limits.label_name:
                raise Refused(f"the label name {name[:40]}… is over the limit of {limits.label_name} characters")
            if len(value) > limits.label_value:
                raise Refused(f"the value of label {name} is over the limit of {limits.label_value} characters")

    def _forget_old(self, now: int) -> None:
        oldest = now - self._limits.sample_days * 86_400_000
        self._defined = {identity: at for identity, at in self._defined.items() if at > oldest}
