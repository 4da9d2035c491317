"""Documentation: what the team wrote and what happened, on pages that change when their objects change.

Nouns: document, runbook, link. Verbs: list, read, search. It is not a wiki: the text is in Git, and what is made from the
ledger cannot be edited.
"""

from __future__ import annotations

from opsroom.areas.documentation import operations
from opsroom.areas.documentation.event_words import DUTIES, events_with
from opsroom.areas.documentation.facts import runbook_for
from opsroom.areas.documentation.jobs import SUBSCRIPTIONS
from opsroom.areas.documentation.kinds import KINDS
from opsroom.areas.documentation.migrations import MIGRATIONS
from opsroom.areas.documentation.pages import PAGES, PARTS
from opsroom.contracts.area import Area
from opsroom.contracts.events import EventType
from opsroom.contracts.facts import EventsWith, RunbookFor
from opsroom.contracts.operations import operations_of

AREA = Area(
    name="documentation",
    promise="Documents that change when what they tell of changes; links that lead nowhere are found.",
    nouns=("document", "runbook", "link"),
    kinds=KINDS,
    events=(
        EventType(name="docs.built", sentence="{pages} documents were built"),
        EventType(name="link.broken", sentence="{page}: the link to {target} leads nowhere: {reason}"),
    ),
    operations=operations_of(operations),
    migrations=MIGRATIONS,
    facts={RunbookFor: runbook_for, EventsWith: events_with},
    duties=DUTIES,
    subscriptions=SUBSCRIPTIONS,
    pages=PAGES,
    parts=PARTS,
)
