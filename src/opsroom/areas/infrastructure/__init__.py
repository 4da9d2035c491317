"""Infrastructure: the machine Opsroom runs on, its runners, the tools it works with, and what expires when.

Nouns: host, runner, tool, expiry. Verbs: list. It is not configuration, which decides files of hosts, nor observability,
which keeps their history: here stands what is there now and until when.
"""

from __future__ import annotations

from opsroom.areas.infrastructure import operations
from opsroom.areas.infrastructure.facts import expiring_before
from opsroom.areas.infrastructure.jobs import DUTIES, SUBSCRIPTIONS
from opsroom.areas.infrastructure.migrations import MIGRATIONS
from opsroom.areas.infrastructure.pages import PAGES, PARTS
from opsroom.contracts.area import Area
from opsroom.contracts.events import EventType
from opsroom.contracts.facts import ExpiringBefore
from opsroom.contracts.operations import operations_of

AREA = Area(
    name="infrastructure",
    promise="What Opsroom stands on is listed with its state, and nothing expires unannounced.",
    nouns=("host", "runner", "tool", "expiry"),
    events=(
        EventType(name="inventory.observed", sentence="machine {host}: {changed}"),
        EventType(name="runner.registered", sentence="runner {runner} is here, with {slots:slot}"),
        EventType(name="expiry.near", sentence="{kind} {name} ends in less than {days:day}: {breaks}"),
    ),
    operations=operations_of(operations),
    migrations=MIGRATIONS,
    facts={ExpiringBefore: expiring_before},
    subscriptions=SUBSCRIPTIONS,
    duties=DUTIES,
    pages=PAGES,
    parts=PARTS,
)
