"""What scans find and how findings live: opened, seen again, closed only by a scan that looked; and what gates decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

EVERYTHING = "*"
"""As `Unchecked.what`: nothing was checked, or it cannot be said what was."""

Severity = str
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")
"""Worst first."""


class Scanner(StrEnum):
    """What looks."""

    SECRETS = "secrets"
    DEPENDENCIES = "dependencies"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchecked:
    """Something a scan did not check: a path, `ecosystem:PyPI`, a package URL, `advisory:ID`, or `*`."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing found. `fingerprint` is what it is known by wherever it stands: a keyed digest of the secret, or package and
    advisory; `also` are other names of the same. `covers` names all that a later scan must have checked before it may say that
    this is gone."""

    fingerprint: str
    rule: str
    severity: Severity
    title: str
    places: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a scan is about; scans of one scope follow upon each other. `target`: a folder, or the name in the SBOM."""

    scanner: str
    repository: str
    ref: str
    target: str

    @property
    def key(self) -> str:
        return "\n".join((self.scanner, self.repository, self.ref, self.target))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one scan saw. `looked_at` counts the files or packages that were checked; `unchecked` empty: that was all."""

    found: tuple[Found, ...]
    unchecked: tuple[Unchecked, ...]
    looked_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A recorded scan. `older`: of a commit before one that was scanned in its scope already, so it changed no finding's life.
    `accepted`: it had nothing new, or its step was told not to fail; what it saw is not new to the next."""

    id: str
    key: str
    scanner: str
    repository: str
    ref: str
    target: str
    scope: str
    service: str
    commit: str
    digest: str
    run: str
    verdict: str
    unchecked: tuple[Unchecked, ...]
    looked_at: int
    new: int
    open: int
    older: bool
    accepted: bool
    started: datetime
    finished: datetime
    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A finding. `commit` and `digest` are the last it was seen on; `digest` "" while nothing was built from that commit."""

    id: str
    scanner: str
    repository: str
    fingerprint: str
    rule: str
    severity: Severity
    title: str
    fix: str
    service: str
    places: tuple[str, ...]
    covers: tuple[str, ...]
    state: str
    commit: str
    digest: str
    opened: datetime
    seen: datetime
    closed: datetime | None
    opened_event: str
    closed_event: str

    @property
    def subjects(self) -> tuple[str, ...]:
        """By which waivers match it: `finding=…`, `service=…`, `repository=…`, `rule=…`, `severity=…`, `scanner=…`."""
        named = {"finding": self.id, "service": self.service, "repository": self.repository, "rule": self.rule,
                 "severity": self.severity, "scanner": self.scanner}  # fmt: skip
        return tuple(f"{kind}:{value}" for kind, value in named.items() if value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a scan means for the findings of its scope, by fingerprint: `gone` were looked for and are not there."""

    seen: tuple[Found, ...]
    gone: tuple[str, ...]


def settle(present: Mapping[str, Collection[str]], result: Result) -> Settled:
    """Decides the life of findings. `present`: what was there at the scope's last scan, by fingerprint, with what each covers.

    A scan that did not check all that a finding covers says nothing about it: it stays."""
    seen = merge(result.found)
    fingerprints = {one.fingerprint for one in seen}
    blind = {one.what for one in result.unchecked}
    gone = tuple(
        fingerprint
        for fingerprint, covers in present.items()
        if fingerprint not in fingerprints and EVERYTHING not in blind and not blind.intersection(covers)
    )
    return Settled(seen=seen, gone=gone)


def merge(found: Iterable[Found]) -> tuple[Found, ...]:
    """One of each fingerprint: the worst severity and its rule, and every place."""
    merged: dict[str, Found] = {}
    for one in found:
        known = merged.get(one.fingerprint)
        if known is None:
            merged[one.fingerprint] = one
            continue
        worse = min(known, one, key=lambda each: SEVERITIES.index(each.severity))
        merged[one.fingerprint] = replace(
            worse, places=_union(known.places, one.places), covers=_union(known.covers, one.covers), also=_union(known.also, one.also)
        )  # fmt: skip
    return tuple(merged.values())


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


@dataclass(frozen=True, slots=True, kw_only=True)
class GateInput:
    """One line of a gate's decision: a rule, or something that was not checked. `verdict`: pass, fail or not checked."""

    name: str
    verdict: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """A gate's decision on a digest. `verdict`: pass or fail; `evidence` is what its expressions saw."""

    id: str
    key: str
    gate: str
    service: str
    environment: str
    digest: str
    commit: str
    run: str
    verdict: str
    inputs: tuple[GateInput, ...]
    evidence: Mapping[str, Any]
    created: datetime
    event: str

    @property
    def output(self) -> str:
        """What the step answers: `not checked` where it passed without all of its evidence."""
        return "not checked" if any(one.verdict == "not checked" for one in self.inputs) else self.verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What stood for a control at a moment. `events` are those that met its query, newest first."""

    id: str
    baseline: str
    control: str
    title: str
    verdict: str
    events: tuple[str, ...]
    as_of: datetime
    event: str
