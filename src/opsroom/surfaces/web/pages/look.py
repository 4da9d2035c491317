"""The gallery of parts, for who writes pages and for tests: every part with sample values, which are labelled as such."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from opsroom.contracts.pages import PageDeclaration, PageRequest, View
from opsroom.kernel.actors import Resource
from opsroom.kernel.clock import stamp
from opsroom.kernel.ledger import Event
from opsroom.surfaces.web.fields import Field
from opsroom.surfaces.web.graph import GraphJob
from opsroom.surfaces.web.logs import log_rows
from opsroom.workflows.protocol import LogLine

if TYPE_CHECKING:
    from opsroom.surfaces.web.frame import Web

_OLD = "environment: production\nstrategy: rolling\nreplicas: 2\nhealth: /health\n"
_NEW = "environment: production\nstrategy: blue-green\nreplicas: 3\nhealth: /health\ntimeout: 30s\n"
_DIAGRAM = "flowchart LR\n  push([push]) --> lint & test\n  lint --> build\n  test --> build\n  build --> staging --> production"


class LookPage:
    """`/look`, for admins."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self.pages = (PageDeclaration(path="/look", title="Parts", render=self._render),)

    def _render(self, asked: PageRequest) -> View:
        self._web.plane.actors.require(asked.call.actor, "admin", Resource(kind="look"))
        now = asked.call.plane.clock.now()
        rows = log_rows(_log(now))
        return View(
            template="pages/look.html",
            values={
                "now": now, "earlier": now - timedelta(minutes=7), "later": now + timedelta(days=3), "events": _events(now),
                "jobs": _jobs(), "rows": rows, "old": _OLD, "new": _NEW, "diagram": _DIAGRAM, "chart": _series(now),
                "words": ("success", "running", "queued", "failed", "unknown", "skipped"), "runs": _runs(), "fields": _fields(),
            },
            title="Parts",
        )  # fmt: skip


def _event(number: int, type: str, at: datetime, actor: str, subjects: tuple[str, ...], **data: object) -> Event:
    return Event(
        id=f"evt_sample{number}",
        type=type,
        version=1,
        time=at,
        recorded=at,
        actor=actor,
        cause="",
        subjects=subjects,
        data=data,
    )


def _events(now: datetime) -> list[Event]:
    service = "service:storefront"
    production = "environment:production"
    return [
        _event(
            1,
            "change.pushed",
            now - timedelta(minutes=31),
            "person:maria",
            ("repository:storefront", service),
            commit="3f2a1c9",
        ),
        _event(
            2,
            "deployment.finished",
            now - timedelta(minutes=24),
            "run:run_sample",
            (service, production),
            version="3f2a1c9",
        ),
        _event(
            3, "alert.fired", now - timedelta(minutes=9), "system:rules", ("alert:SlowCheckout", service, production)
        ),
        _event(
            4,
            "incident.opened",
            now - timedelta(minutes=8),
            "system:incidents",
            ("incident:inc_sample", service, production),
        ),
    ]


def _jobs() -> list[GraphJob]:
    return [
        GraphJob(id="lint", name="lint", state="success", seconds=3.2, href="/look#graph"),
        GraphJob(id="test", name="test (3.11)", state="success", seconds=12.4, href="/look#graph"),
        GraphJob(id="scan", name="secret scan", state="failed", seconds=1.1, href="/look#graph", note="2 findings"),
        GraphJob(id="build", name="build", needs=("lint", "test"), state="success", seconds=4.0, href="/look#graph"),
        GraphJob(
            id="staging", name="deploy to staging", needs=("build",), state="running", seconds=8.0, href="/look#graph"
        ),
        GraphJob(id="load", name="load test", needs=("staging",), state="queued", note="needs staging"),
        GraphJob(id="production", name="deploy to production", needs=("load", "scan"), state="skipped"),
    ]


def _log(now: datetime) -> list[LogLine]:
    at = stamp(now)
    texts = (
        ("group", "Run make test"), ("command", "make test"), ("out", "\x1b[32m✓\x1b[0m 41 tests passed in 2.31 s"), ("endgroup", ""),
        ("group", "Set up"), ("out", "Python 3.11.7"), ("endgroup", ""),
        ("out", "\x1b[1mbuilding\x1b[0m \x1b[36mstorefront\x1b[0m \x1b[33m3f2a1c9\x1b[0m"),
        ("warning", "storefront/web.py is over 400 lines"), ("err", "Traceback (most recent call last):"),
        ("error", "AssertionError: stock of product 7 is -1"), ("out", "\x1b[31mFAILED\x1b[0m tests/test_stock.py::test_reserve"),
    )  # fmt: skip
    return [LogLine(at=at, step=0, text=text, stream=stream) for stream, text in texts]


def _series(now: datetime) -> dict[str, object]:
    times = [now.timestamp() - 3600 + 30 * index for index in range(121)]
    waves = {"storefront": (40.0, 9.0, 17), "inventory": (26.0, 5.0, 11)}
    return {
        "times": times,
        "series": [
            {
                "name": name,
                "values": [None if 50 < i < 55 else base + height * math.sin(i / period) for i in range(121)],
            }
            for name, (base, height, period) in waves.items()
        ],
    }


def _runs() -> list[dict[str, object]]:
    return [
        {
            "id": "r1",
            "name": "storefront",
            "state": "success",
            "seconds": 41.2,
            "cost": 4_200,
            "past": [38, 40, 44, 39, 41.2],
        },
        {"id": "r2", "name": "inventory", "state": "failed", "seconds": 12.9, "cost": 1_310, "past": [30, 31, 12.9]},
        {"id": "r3", "name": "ops", "state": "queued", "seconds": None, "cost": None, "past": []},
    ]


def _fields() -> list[Field]:
    return [
        Field(
            name="environment",
            label="Environment",
            kind="choice",
            required=True,
            options=("staging", "production"),
            value="staging",
        ),
        Field(name="version", label="Version", help="a commit or a digest", value="3f2a1c9"),
        Field(name="replicas", label="Replicas", kind="number", value="2", error="at most 4 on this host"),
        Field(name="dry_run", label="Dry run", kind="boolean", value="true"),
    ]
