"""Which findings are waived now: the kernel's register asked for many findings at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opsroom.areas.security.model import Finding
from opsroom.contracts.plane import Plane
from opsroom.kernel.matchers import labels_of
from opsroom.kernel.waivers import Waiver

KIND = "finding-ignored"


def holding(plane: Plane) -> list[Waiver]:
    """The waivers of findings that hold now."""
    now = plane.clock.now()
    return [waiver for waiver in plane.waivers.all(kind=KIND) if waiver.holds(now)]


def waiver_of(waivers: Sequence[Waiver], finding: Finding) -> Waiver | None:
    """The waiver that covers a finding, that which lasts longest first; None: it is not waived."""
    return max((one for one in waivers if covers(one, finding)), key=lambda one: (one.expires, one.id), default=None)


def covers(waiver: Waiver, finding: Finding) -> bool:
    """Whether all matchers of a waiver match a finding."""
    labels = labels_of(finding.subjects)
    return all(matcher.matches(labels) for matcher in waiver.matchers)


def unwaived(plane: Plane, findings: Iterable[Finding]) -> list[Finding]:
    """Those that no waiver covers now."""
    waivers = holding(plane)
    return [finding for finding in findings if waiver_of(waivers, finding) is None]
