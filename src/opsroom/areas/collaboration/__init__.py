"""Collaboration: one picture for everyone: who owns what, what channels were told, how delivery does.

Nouns: service, team, notification, DORA. Verbs: list, show. It is not the pager: who is called at night is incidents';
and it does not keep services' facts, it asks the areas that do.
"""

from __future__ import annotations

from opsroom.areas.collaboration import notifying, people
from opsroom.areas.collaboration.facts import dora_of, owner_of
from opsroom.areas.collaboration.kinds import CHANNEL
from opsroom.areas.collaboration.migrations import MIGRATIONS
from opsroom.areas.collaboration.operations import figures, services
from opsroom.areas.collaboration.pages import PAGES, PARTS
from opsroom.contracts.area import Area
from opsroom.contracts.events import EventType
from opsroom.contracts.facts import DoraOf, OwnerOf
from opsroom.contracts.operations import operations_of

AREA = Area(
    name="collaboration",
    promise="One picture for developers, management and product: owners, notifications, DORA with its definitions.",
    nouns=("service", "team", "notification", "DORA"),
    kinds=(CHANNEL,),
    events=(
        EventType(
            name="catalog.changed", sentence="the ops repo at {commit} was read: {problems:problem}", change=True
        ),
        EventType(name="notification.sent", sentence="{channel} was told: {title}"),
    ),
    operations=operations_of(services, figures),
    migrations=MIGRATIONS,
    facts={OwnerOf: owner_of, DoraOf: dora_of},
    subscriptions=(*notifying.SUBSCRIPTIONS, *people.SUBSCRIPTIONS),
    duties=notifying.DUTIES,
    pages=PAGES,
    parts=PARTS,
)
