"""The duty of rules: evaluates each group at its interval, keeps the state of its alerts, and tells who fires and who ends.

State and events are one transaction, guarded by the revision that was read: whoever is late writes nothing, so each alert is told
once. Samples that rules record are written before that; when they are refused, only they are missing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from opsroom.areas.observability import store as rows
from opsroom.areas.observability.alerting import move_alerts
from opsroom.areas.observability.in_force import groups_of
from opsroom.areas.observability.model import GroupRow
from opsroom.contracts.area import Duty
from opsroom.kernel.errors import Unavailable, UserError
from opsroom.telemetry.port import QueryResult
from opsroom.telemetry.rulefiles import RuleGroup
from opsroom.telemetry.rules import Evaluation, evaluate

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.store import Store

LONGEST_SETTLE = timedelta(minutes=5)
"""However long nobody watched, after this an alert that is not seen any more is over."""
LOOK_SECONDS = 0.25


@dataclass(slots=True)
class _Schedule:
    """When each group is due, in monotonic seconds, and the commit for which groups that are no more were ended."""

    due: dict[tuple[str, str], float] = field(default_factory=dict)
    ended: str = ""


_schedules: WeakKeyDictionary[Store, _Schedule] = WeakKeyDictionary()


def evaluate_due(plane: Plane) -> None:
    """Evaluates every group whose interval has passed, and ends what is left of groups that are no more."""
    schedule = _schedules.setdefault(plane.store, _Schedule())
    catalog, now = plane.catalogs.current(), time.monotonic()
    groups = groups_of(catalog)
    for group in groups:
        key = (group.file, group.name)
        due = schedule.due.get(key, 0.0)
        if due <= now:
            interval = interval_of(plane, group)
            schedule.due[key] = due + interval if due + interval > now else now + interval
            evaluate_group(plane, group)
    if catalog.commit != schedule.ended:
        _end_removed(plane, {(group.file, group.name) for group in groups})
        schedule.ended = catalog.commit


def interval_of(plane: Plane, group: RuleGroup) -> float:
    """Seconds between two evaluations of a group."""
    return group.interval or plane.settings.rule_seconds


def evaluate_group(plane: Plane, group: RuleGroup) -> None:
    """Evaluates a group once, now."""
    began, now = time.monotonic(), plane.clock.now()
    with plane.store.read() as tx:
        before = rows.group(tx, (group.file, group.name))
    interval = interval_of(plane, group)
    if before is not None and 0 <= (now - before.evaluated).total_seconds() < interval / 2:
        return  # another server has evaluated it for this time
    look = _Look(plane, group, before, now, interval)
    result = look.result()
    _write_samples(plane, group, result)
    after = GroupRow(
        file=group.file, name=group.name, state=result.state, evaluated=now,
        answered=now if look.answered() else (before.answered if before else now), settles=look.settles,
        seconds=time.monotonic() - began, faults={fault.rule: fault.message for fault in result.faults},
        revision=before.revision if before else 0,
    )  # fmt: skip
    move_alerts(plane, group, after)


@dataclass
class _Look:
    """One evaluation of a group, with what is known of how well it could be watched."""

    plane: Plane
    group: RuleGroup
    before: GroupRow | None
    now: datetime
    interval: float

    def __post_init__(self) -> None:
        self._answers: dict[tuple[str, float], QueryResult] = {}
        self._held: Mapping[str, str] = {}
        self._unavailable: set[str] = set()
        self.settles = self._settles()

    def result(self) -> Evaluation:
        """The evaluation; alerts that would end because nobody could watch are held, and their rules say why."""
        result = self._evaluated(self.before.state if self.before else None)
        if self._unavailable:
            return result
        state = self._seen_state()
        result = self._evaluated(state)
        alerts = {rule.alert for rule in self.group.rules if rule.alert}
        ending = {one.rule for one in result.transitions if one.kind == "resolved"} & alerts
        reason = self._blind_because() if ending else ""
        if not reason:
            return result
        self._held = {rule.expr: reason for rule in self.group.rules if rule.alert in ending}
        return self._evaluated(state)

    def answered(self) -> bool:
        """Whether every question was answered."""
        return not self._unavailable

    def _evaluated(self, state: dict[str, Any] | None) -> Evaluation:
        return evaluate(self.group, state, self._query, self.now.timestamp())

    def _query(self, expr: str, at: float) -> QueryResult:
        if expr in self._held:
            raise Unavailable(self._held[expr])
        key = (expr, at)
        if key not in self._answers:
            try:
                self._answers[key] = self.plane.telemetry.query(expr, at, lane="rules")
            except Unavailable:
                self._unavailable.add(expr)
                raise
        return self._answers[key]

    def _blind_because(self) -> str:
        """Why the absence of a series proves nothing now; "" : it does."""
        health = self.plane.telemetry.health()
        if health.state != "up" or health.reason:
            return f"telemetry is {health.state}: {health.reason or 'it does not answer'}"
        if self.now < self.settles:
            seconds = (self.settles - self.now).total_seconds()
            return f"nothing was watched for a while; what is missing is taken as over in {seconds:.0f} s"
        return ""

    def _unwatched(self) -> timedelta:
        """How long before now nobody looked, beyond what the interval explains."""
        if self.before is None:
            return timedelta(0)
        return max(timedelta(0), self.now - self.before.answered - timedelta(seconds=2 * self.interval))

    def _settles(self) -> datetime:
        """After a time unwatched, windows need as long to fill again."""
        gap = self._unwatched()
        known = self.before.settles if self.before else self.now
        return max(known, self.now + min(gap, LONGEST_SETTLE)) if gap else known

    def _seen_state(self) -> dict[str, Any] | None:
        """The kept state, in which time that nobody watched does not count towards `for`, and no onset is yet to come."""
        if self.before is None:
            return None
        gap, now = self._unwatched().total_seconds(), self.now.timestamp()
        rules = {}
        for key, kept in self.before.state["rules"].items():
            alerts = {
                name: {**alert, "active_since": min(alert["active_since"] + gap, now)}
                if alert["state"] == "pending"
                else alert
                for name, alert in kept["alerts"].items()
            }
            rules[key] = {**kept, "alerts": alerts}
        return {**self.before.state, "rules": rules}


def _write_samples(plane: Plane, group: RuleGroup, result: Evaluation) -> None:
    if not result.samples:
        return
    try:
        plane.telemetry.write_samples(result.samples)
    except UserError as error:
        plane.journal.warning("what rules recorded was not accepted", group=group.name, reason=str(error))


def _end_removed(plane: Plane, in_force: set[tuple[str, str]]) -> None:
    """The alerts of a group that is no more are over, and its series end."""
    with plane.store.read() as tx:
        known = rows.groups(tx)
    for key, row in known.items():
        if key not in in_force:
            group = RuleGroup(name=row.name, file=row.file)
            now = plane.clock.now()
            result = evaluate(group, row.state, _nothing, now.timestamp())
            _write_samples(plane, group, result)
            move_alerts(plane, group, replace(row, state=result.state, evaluated=now, faults={}), remove=True)


def _nothing(expr: str, at: float) -> QueryResult:
    return QueryResult("vector")


EVALUATING = Duty(name="rules", seconds=LOOK_SECONDS, run=evaluate_due)
