"""Security and compliance: secrets and weak dependencies found, their life followed, gates that decide on evidence, controls proven.

Nouns: finding, scan, gate, control, evidence. Verbs: scan, list what packages a project is made of, decide, judge. It is not a
registry of exceptions (waivers are the kernel's), it deploys nothing, and it asks no vendor whether a secret is live. What was
not checked is *not checked*, never clean.
"""

from __future__ import annotations

from opsroom.areas.security import operations
from opsroom.areas.security.actions import ACTIONS
from opsroom.areas.security.facts import findings_on
from opsroom.areas.security.jobs import DUTIES, SUBSCRIPTIONS
from opsroom.areas.security.kinds import KINDS
from opsroom.areas.security.migrations import MIGRATIONS
from opsroom.areas.security.pages import PAGES, PARTS
from opsroom.contracts.area import Area
from opsroom.contracts.events import EventType
from opsroom.contracts.facts import FindingsOn
from opsroom.contracts.operations import operations_of

AREA = Area(
    name="security",
    promise="Secrets and weak dependencies found and followed, gates on evidence, controls proven by events.",
    nouns=("finding", "scan", "gate", "control", "evidence"),
    kinds=KINDS,
    events=(
        EventType(
            name="scan.finished", sentence="scan of {scanner} in {repository}: {verdict}, {open} open, {new} new"
        ),
        EventType(name="finding.opened", sentence="{severity}: {title} in {repository}"),
        EventType(name="finding.closed", sentence="gone: {title} in {repository}"),
        EventType(name="gate.decided", sentence="gate {gate} on {service} for {environment}: {verdict}"),
        EventType(name="evidence.recorded", sentence="control {control} {verdict}: {title}"),
    ),
    operations=operations_of(operations),
    migrations=MIGRATIONS,
    facts={FindingsOn: findings_on},
    actions=ACTIONS,
    subscriptions=SUBSCRIPTIONS,
    duties=DUTIES,
    pages=PAGES,
    parts=PARTS,
)
