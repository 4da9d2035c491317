"""Configuration: files of hosts as the ops repo has them, planned, applied as approved, and watched for drift.

Nouns: plan, drift, configuration (a managed file). Verbs: plan, apply, adopt, list. It is not deployment: services are
delivery's, and nothing is applied here without a plan that someone or a workflow applied.
"""

from __future__ import annotations

from opsroom.areas.configuration import operations
from opsroom.areas.configuration.actions import ACTIONS
from opsroom.areas.configuration.facts import drift_of
from opsroom.areas.configuration.jobs import DUTIES, SUBSCRIPTIONS
from opsroom.areas.configuration.kinds import KINDS
from opsroom.areas.configuration.migrations import MIGRATIONS
from opsroom.areas.configuration.pages import PAGES, PARTS
from opsroom.contracts.area import Area
from opsroom.contracts.events import EventType
from opsroom.contracts.facts import DriftOf
from opsroom.contracts.operations import operations_of

AREA = Area(
    name="configuration",
    promise="What a file should be stands in Git; the plan is empty twice, and drift has a name.",
    nouns=("plan", "drift", "configuration"),
    kinds=KINDS,
    events=(
        EventType(name="configuration.adopted", sentence="{count:file} of {target} adopted into the ops repo"),
        EventType(name="configuration.planned", sentence="{changes:change} planned for {target}, {risks} with a risk"),
        EventType(name="configuration.applied", sentence="{path} on {target} {done} by plan {plan}", change=True),
        EventType(
            name="drift.found",
            sentence="{path} on {target} was changed outside ({differs}); it belongs to {owner}",
            change=True,
        ),
        EventType(name="drift.ended", sentence="{path} on {target} is drifting no more: {how}"),
    ),
    operations=operations_of(operations),
    migrations=MIGRATIONS,
    facts={DriftOf: drift_of},
    actions=ACTIONS,
    subscriptions=SUBSCRIPTIONS,
    duties=DUTIES,
    pages=PAGES,
    parts=PARTS,
)
