"""Alerts as they are kept and told: rows that follow a group's state, and one event when one fires and when it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opsroom.areas.observability import store as rows
from opsroom.areas.observability.causes import cause_of
from opsroom.areas.observability.model import AlertRow, AlertState, GroupRow, fingerprint
from opsroom.areas.observability.muting import muted_by, still_muted
from opsroom.kernel.clock import stamp
from opsroom.telemetry.rules import active_alerts

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.store import Tx
    from opsroom.kernel.waivers import Waiver
    from opsroom.telemetry.rulefiles import RuleGroup

ACTOR = "system:observability"
DEFAULT_SEVERITY = "warning"


def move_alerts(plane: Plane, group: RuleGroup, after: GroupRow, *, remove: bool = False) -> bool:
    """Writes the group's new state, its alerts and their events in one transaction; `remove`: the group is no more.

    False: another server wrote a newer state first, and nothing was written. What is to be told is found by comparing the state with
    the rows, so nothing is told twice and nothing that was cut off is left out."""
    with plane.store.read() as tx:
        known = {alert.key: alert for alert in rows.open_alerts(tx, after.key)}
    active = _active(plane, group, after, known)
    gone = [alert for key, alert in known.items() if key not in {one.key for one in active}]
    firing = [one for one in active if one.state == "firing" and not one.fired_at]
    ending = [one for one in gone if one.fired_at]
    # Asked before the transaction, because facts and waivers read the store too.
    outlasting = [one for one in active if one.fired_at and _outlasts(plane, one)]
    causes = {place: cause_of(plane, *place) for place in {_place(one) for one in (*firing, *outlasting, *ending)}}
    silences = {one.id: silence_of(plane, one.labels) for one in firing}
    loads = {one.id: muted_by(plane, one) for one in firing}
    with plane.store.begin() as tx:
        if not rows.put_group(tx, after):
            return False
        if remove:
            rows.drop_group(tx, after.key)
        for alert in active:
            rows.put_alert(tx, alert)
        for alert in firing:
            _fire(plane, tx, alert, after.evaluated, causes[_place(alert)], silences[alert.id], loads[alert.id])
        for alert in outlasting:
            _unmute(plane, tx, alert, after.evaluated, causes[_place(alert)])
        for alert in ending:
            _resolve(plane, tx, alert, after.evaluated, causes[_place(alert)])
        for alert in gone:
            if not alert.fired_at:
                rows.drop_alert(tx, alert.id)  # it was pending, and the condition did not last
    return True


def silence_of(plane: Plane, labels: Mapping[str, str]) -> Waiver | None:
    """The silence that covers an alert now; matchers see its labels, and its name as `alert` too."""
    return plane.waivers.active("silence", {**labels, "alert": labels.get("alertname", "")})


def _outlasts(plane: Plane, alert: AlertRow) -> bool:
    """Whether a silence or a load test kept an alert quiet when it began to fire, and nothing does any more."""
    quiet = bool(alert.muted_by or alert.silence)
    return quiet and silence_of(plane, alert.labels) is None and not still_muted(plane, alert)


def _active(plane: Plane, group: RuleGroup, after: GroupRow, known: Mapping[str, AlertRow]) -> Sequence[AlertRow]:
    """The rows of every alert that is pending or firing in the state."""
    found = []
    for one in active_alerts(after.state):
        alert = known.get(one["key"]) or _begun(plane, group, one)
        state: AlertState = "firing" if one["state"] == "firing" else "pending"
        if alert.name in after.faults and alert.key in known:
            state = "unknown"  # kept as it was, for its rule could not be evaluated
        found.append(
            replace(
                alert, state=state, annotations=dict(one["annotations"]), value=one["value"],
                active_at=alert.active_at if alert.fired_at else _moment(one["active_since"]),
            )
        )  # fmt: skip
    return found


def _begun(plane: Plane, group: RuleGroup, active: Mapping[str, Any]) -> AlertRow:
    labels = dict(active["labels"])
    expr = next((rule.expr for rule in group.rules if rule.alert == active["rule"]), "")
    return AlertRow(
        id=plane.clock.new_id("alr"), key=active["key"], fingerprint=fingerprint(group.file, group.name, labels),
        name=active["rule"], file=group.file, group=group.name, state="pending",
        severity=labels.get("severity", DEFAULT_SEVERITY), service=labels.get("service", ""),
        environment=labels.get("environment", ""), labels=labels, annotations={}, value=active["value"],
        expr=" ".join(expr.split()), active_at=_moment(active["active_since"]),
    )  # fmt: skip


def _fire(plane: Plane, tx: Tx, alert: AlertRow, at: datetime, cause: str, silence: Waiver | None, muted: str) -> None:
    event = plane.ledger.record(
        tx, "alert.fired", actor=ACTOR, cause=cause, subjects=alert.subjects, key=f"alert.fired:{alert.id}", time=at,
        data={**_told(alert), **_quieted(silence), "muted_by": muted},
    )  # fmt: skip
    rows.put_alert(
        tx,
        replace(alert, fired_at=at, fired_event=event.id, silence=silence.id if silence else "", muted_by=muted),
    )


def _unmute(plane: Plane, tx: Tx, alert: AlertRow, at: datetime, cause: str) -> None:
    """What kept it quiet is over and the alert is not: it counts from now on."""
    plane.ledger.record(
        tx, "alert.unmuted", actor=ACTOR, cause=alert.fired_event or cause, subjects=alert.subjects, time=at,
        key=f"alert.unmuted:{alert.id}",
        data={**_told(alert), **_quieted(None), "muted_by": alert.muted_by or f"silence {alert.silence}"},
    )  # fmt: skip
    rows.put_alert(tx, replace(alert, muted_by="", silence=""))


def _quieted(silence: Waiver | None) -> dict[str, Any]:
    return {"silenced": silence is not None, "silence": silence.id if silence else ""}


def _resolve(plane: Plane, tx: Tx, alert: AlertRow, at: datetime, cause: str) -> None:
    event = plane.ledger.record(
        tx, "alert.resolved", actor=ACTOR, cause=cause, subjects=alert.subjects, key=f"alert.resolved:{alert.id}", time=at,
        data={**_told(alert), "fired": alert.fired_event, "seconds": round((at - alert.active_at).total_seconds(), 3),
              "silenced": bool(alert.silence), "muted_by": alert.muted_by},
    )  # fmt: skip
    rows.put_alert(tx, replace(alert, state="resolved", resolved_at=at, resolved_event=event.id))


def _told(alert: AlertRow) -> dict[str, Any]:
    """What both events say. A value that JSON has no number for is told as null."""
    return {
        "id": alert.id, "name": alert.name, "labels": dict(alert.labels), "annotations": dict(alert.annotations),
        "value": alert.value if alert.value - alert.value == 0 else None, "expr": alert.expr,
        "active_at": stamp(alert.active_at), "fingerprint": alert.fingerprint, "severity": alert.severity,
        "file": alert.file, "group": alert.group, "summary": _summary(alert),
    }  # fmt: skip


def _summary(alert: AlertRow) -> str:
    """The summary on one line; without one, what the labels say."""
    place = " in ".join(part for part in (alert.service, alert.environment) if part)
    return " ".join(alert.annotations.get("summary", "").split()) or place or alert.expr


def _place(alert: AlertRow) -> tuple[str, str]:
    return alert.service, alert.environment


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
