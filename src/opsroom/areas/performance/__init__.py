"""Performance: load tests, steady traffic, and what changed between two runs.

Nouns: load test, traffic. Verbs: run (as a workflow's action), list, show, compare, record. It is not monitoring: what
services say of themselves is observability's; here stands what a client that sent the requests counted.
"""

from __future__ import annotations

from opsroom.areas.performance import operations
from opsroom.areas.performance.actions import ACTIONS
from opsroom.areas.performance.facts import traffic_during
from opsroom.areas.performance.kinds import LOAD_TEST
from opsroom.areas.performance.migrations import MIGRATIONS
from opsroom.areas.performance.pages import PAGES, PARTS
from opsroom.areas.performance.windows import load_during
from opsroom.contracts.area import Area
from opsroom.contracts.events import EventType
from opsroom.contracts.facts import LoadDuring, TrafficDuring
from opsroom.contracts.operations import operations_of

AREA = Area(
    name="performance",
    promise="Load tests as code, peaks carried, regressions tied to the change that brought them.",
    nouns=("load test", "traffic"),
    kinds=(LOAD_TEST,),
    events=(
        EventType(name="loadtest.started", sentence="load test {test} of {service} in {environment} started"),
        EventType(
            name="loadtest.finished",
            sentence="load test {test} of {service} in {environment} {verdict}: p95 {p95_ms} ms, {failed} of {requests} requests failed",
        ),
        EventType(
            name="traffic.measured",
            sentence="{requests} requests to {service} in {environment}, {failed} failed",
        ),
    ),
    operations=operations_of(operations),
    migrations=MIGRATIONS,
    facts={TrafficDuring: traffic_during, LoadDuring: load_during},
    actions=ACTIONS,
    pages=PAGES,
    parts=PARTS,
)
