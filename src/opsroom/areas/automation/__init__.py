"""Automation: operational work without hands: scheduled workflows, self-service tasks, backups proven by a restore.

Nouns: task, schedule, backup. Verbs: start, create, verify, list, show. It is not the engine that runs workflows, and not
delivery: what leads from a push to production is delivery's.
"""

from __future__ import annotations

from opsroom.areas.automation.actions import ACTIONS
from opsroom.areas.automation.jobs import DUTIES
from opsroom.areas.automation.kinds import KINDS
from opsroom.areas.automation.migrations import MIGRATIONS
from opsroom.areas.automation.operations import backups as backup_verbs
from opsroom.areas.automation.operations import schedules, tasks
from opsroom.areas.automation.pages import PAGES, PARTS
from opsroom.contracts.area import Area
from opsroom.contracts.events import EventType
from opsroom.contracts.operations import operations_of

AREA = Area(
    name="automation",
    promise="Scheduled and self-service work, and backups whose restore is tested as a job.",
    nouns=("task", "schedule", "backup"),
    kinds=KINDS,
    events=(
        EventType(name="task.requested", sentence="{actor} asked for the task {title}"),
        EventType(name="backup.made", sentence="backup {name} was made: {bytes:bytes}, {members:file}"),
        EventType(name="backup.verified", sentence="backup {name} was restored and holds: {events} events verified"),
        EventType(name="backup.failed", sentence="a restore of backup {name} failed: {reason}"),
        EventType(name="schedule.missed", sentence="{workflow} missed {times:time}: {reason}"),
    ),
    operations=operations_of(tasks, schedules, backup_verbs),
    migrations=MIGRATIONS,
    actions=ACTIONS,
    duties=DUTIES,
    pages=PAGES,
    parts=PARTS,
)
