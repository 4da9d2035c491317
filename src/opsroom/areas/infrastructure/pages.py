"""The page of infrastructure: what expires when first, then runners, machines and tools; and what ends this week for the overview."""

from __future__ import annotations

from datetime import timedelta

from opsroom.areas.infrastructure.endings import endings
from opsroom.areas.infrastructure.model import Ending
from opsroom.areas.infrastructure.observing import machine_of
from opsroom.areas.infrastructure.operations import expiry_view, list_hosts, list_runners, list_tools
from opsroom.contracts.pages import PageDeclaration, PageRequest, Part, View

LIVE = ("inventory.", "runner.", "expiry.", "token.", "waiver.", "run.", "catalog.")
WEEK = timedelta(days=7)


def show_infrastructure(asked: PageRequest) -> View:
    """Everything Opsroom stands on."""
    call, now = asked.call, asked.call.plane.clock.now()
    found = [expiry_view(one, now) for one in endings(call.plane)]
    return View(
        template="infrastructure/infrastructure.html",
        values={"hosts": list_hosts(call), "runners": list_runners(call), "tools": list_tools(call),
                "dated": [one for one in found if one.expires or one.reason],
                "undated": [one for one in found if not one.expires and not one.reason]},
        title="Infrastructure", api="/api/v1/hosts", live=LIVE,
    )  # fmt: skip


def wrong_part(asked: PageRequest) -> View | None:
    """Tools that are missing or fail, jobs that cannot be sandboxed, disks that are full, and what is over."""
    call = asked.call
    if not call.sight.everything:  # the machine is every team's
        return None
    tools = [one for one in list_tools(call) if one.state in ("missing", "failed")]
    full = [disk for disk in machine_of(call.plane).disks if disk.free_bytes < disk.total_bytes // 20]
    over = [one for one in _ended(asked) if one.kind == "certificate"]
    if not (tools or full or over):
        return None
    return View(template="infrastructure/wrong.html", values={"tools": tools, "disks": full, "over": over})


def waiting_part(asked: PageRequest) -> View | None:
    """What ends within a week."""
    if not asked.call.sight.everything:
        return None
    now = asked.call.plane.clock.now()
    found = [
        one for one in endings(asked.call.plane) if one.expires and now < one.expires <= now + WEEK and _matters(one)
    ]
    return View(template="infrastructure/waiting.html", values={"endings": found}) if found else None


def _ended(asked: PageRequest) -> list[Ending]:
    now = asked.call.plane.clock.now()
    return [one for one in endings(asked.call.plane) if one.state(now) == "over"]


def _matters(one: Ending) -> bool:
    """A thing made for a few days is expected to end; it waits for nobody."""
    return one.since is None or one.expires is None or one.expires - one.since > WEEK


PAGES = (
    PageDeclaration(
        path="/infrastructure", title="Infrastructure", render=show_infrastructure, nav="Infrastructure", key="h"
    ),
)
PARTS = (
    Part(where="overview.wrong", title="Infrastructure", order=60, render=wrong_part),
    Part(where="overview.waiting", title="Expiring this week", order=60, render=waiting_part),
)
