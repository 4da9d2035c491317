"""The pages of configuration: drift and plans as differences, who and when, and buttons that say what they do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from opsroom.areas.configuration import store as rows
from opsroom.areas.configuration.applying import freeze_of
from opsroom.areas.configuration.drift import Status, accepted, statuses
from opsroom.areas.configuration.model import OPEN, Target
from opsroom.areas.configuration.operations import list_drift, show_plan, shows_host
from opsroom.areas.configuration.planning import fields_of
from opsroom.areas.configuration.views import ChangeView, FieldView, PlanView, plan_view
from opsroom.areas.configuration.wanted import targets
from opsroom.contracts.pages import PageDeclaration, PageRequest, Part, View
from opsroom.kernel.clock import stamp
from opsroom.kernel.matchers import Matcher

if TYPE_CHECKING:
    from opsroom.areas.configuration.store import DriftRow
    from opsroom.contracts.plane import Plane

ACCEPTED_DAYS = 30
LIVE = ("configuration.", "drift.", "catalog.", "waiver.")
_WORDS = {"create": "created", "update": "changed", "delete": "deleted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One file as two sides have it: the lines of its content where both may be shown, and what else differs in words."""

    path: str
    sign: str
    before: str | None
    after: str | None
    notes: tuple[str, ...]
    risk: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifted:
    """A file that was changed outside, as the page shows it. `until`: its drift is accepted until then."""

    row: DriftRow
    difference: Difference
    until: str
    matchers: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCard:
    """A host on the page of configuration."""

    target: Target
    counts: tuple[tuple[str, int], ...]
    plans: tuple[PlanView, ...]
    drifted: tuple[Drifted, ...]
    objects: tuple[Status, ...]
    frozen: str


def show_configuration(asked: PageRequest) -> View:
    """Every host: its drift, its open plans, its files and their states."""
    plane = asked.call.plane
    found = [_card(plane, target) for target in targets(plane) if _in_scope(asked, target)]
    with plane.store.read() as tx:
        past = [plan_view(one) for one in rows.find_plans(tx, states=("applied", "superseded", "stopped"), limit=20)]
    past = asked.call.sight.only(past, shows_host)
    until = stamp(plane.clock.now() + timedelta(days=ACCEPTED_DAYS))
    place = found[0].target.place if found else None
    return View(
        template="configuration/configuration.html",
        values={"hosts": found, "past": past, "until": until, "days": ACCEPTED_DAYS},
        title="Configuration", code=place, api="/api/v1/configurations", live=LIVE,
    )  # fmt: skip


def show_one_plan(asked: PageRequest) -> View:
    """One plan: every change as a difference, its risks, and what became of it."""
    plane, id = asked.call.plane, asked.params["id"]
    plan = show_plan(asked.call, id)
    target = next((one for one in targets(plane) if one.name == plan.target), None)
    counts = Counter(_WORDS[change.verb] for change in plan.changes)
    return View(
        template="configuration/plan.html",
        values={"plan": plan, "differences": [difference_of(change) for change in plan.changes],
                "frozen": freeze_of(plane, target) if target else "", "open": plan.state in OPEN,
                "does": ", ".join(f"{count} {word}" for word, count in counts.items()),
                "events": plane.ledger.find(subjects=[f"plan:{id}"], limit=100)},
        title=f"Plan for {plan.target}", code=target.place if target else None, api=f"/api/v1/plans/{id}", live=LIVE,
    )  # fmt: skip


def wrong_part(asked: PageRequest) -> View | None:
    """Drift that nobody accepted, for the strip of what is wrong now."""
    found = [view for view in list_drift(asked.call) if view.objects or view.unknown]
    return View(template="configuration/wrong.html", values={"drift": found}) if found else None


def waiting_part(asked: PageRequest) -> View | None:
    """Plans that nobody has applied."""
    with asked.call.plane.store.read() as tx:
        found = [plan_view(one) for one in rows.find_plans(tx, states=OPEN, limit=10)]
    found = asked.call.sight.only(found, shows_host)
    return View(template="configuration/waiting.html", values={"plans": found}) if found else None


def difference_of(change: ChangeView) -> Difference:
    """A planned change as a difference."""
    content = next((item for item in change.fields if item.name == "content"), None)
    sign = {"create": "+", "update": "~", "delete": "-"}[change.verb]
    both = content is not None and (change.verb != "update" or None not in (content.before, content.after))
    notes = tuple(_note(item) for item in change.fields if item.name != "content" or not both)
    return Difference(
        path=change.name, sign=sign, before=(content.before or "") if content and both else None,
        after=(content.after or "") if content and both else None, notes=notes, risk=change.risk,
    )  # fmt: skip


def _card(plane: Plane, target: Target) -> HostCard:
    found = statuses(plane, target)
    with plane.store.read() as tx:
        open_plans = rows.find_plans(tx, target=target.name, states=OPEN, limit=10)
        drifting = rows.open_drift(tx, target.name)
    now = {one.path: one for one in found}
    drifted = [_drifted(plane, target, row, now[path]) for (_, path), row in drifting.items() if path in now]
    return HostCard(
        target=target,
        counts=tuple(Counter(one.state for one in found).items()),
        plans=tuple(plan_view(one) for one in open_plans),
        drifted=tuple(drifted),
        objects=tuple(found),
        frozen=freeze_of(plane, target),
    )


def _drifted(plane: Plane, target: Target, row: DriftRow, status: Status) -> Drifted:
    wanted = fields_of(plane, status.wanted.state) if status.wanted and status.wanted.state else {}
    actual = fields_of(plane, status.actual) if status.actual else {}
    fields = [
        FieldView(name=name, before=wanted.get(name), after=actual.get(name))
        for name in sorted({*wanted, *actual})
        if wanted.get(name) != actual.get(name)
    ]
    verb = "create" if not wanted else "delete" if not actual else "update"
    waiver = accepted(plane, target, row.path)
    change = ChangeView(verb=verb, kind="file", name=row.path, risk="", fields=fields)
    matchers = (Matcher("host", "=", target.name), Matcher("file", "=", row.path))
    return Drifted(
        row=row,
        difference=difference_of(change),
        until=stamp(waiver[1]) if waiver else "",
        matchers="\n".join(map(str, matchers)),
    )


def _note(item: FieldView) -> str:
    if item.name == "mode":
        return f"mode {item.before or 'none'} becomes {item.after or 'none'}"
    if item.name == "digest":
        return f"content, by its digest: {(item.before or 'none')[:19]} becomes {(item.after or 'none')[:19]}"
    return "content is text on one side only, and is not shown"


def _in_scope(asked: PageRequest, target: Target) -> bool:
    """Whether a host is in the scope of the page, and may be read."""
    scope, team, environment = asked.scope, target.labels.get("team", ""), target.labels.get("environment", "")
    inside = scope.environment in ("", environment) and scope.team in ("", team)
    return inside and asked.call.sight.sees(team=team, environment=environment)


PAGES = (
    PageDeclaration(
        path="/configuration", title="Configuration", render=show_configuration, nav="Configuration", key="f"
    ),
    PageDeclaration(path="/plans/{id}", title="Plan", render=show_one_plan),
)
PARTS = (
    Part(where="overview.wrong", title="Drift", order=40, render=wrong_part),
    Part(where="overview.waiting", title="Plans", order=40, render=waiting_part),
)
