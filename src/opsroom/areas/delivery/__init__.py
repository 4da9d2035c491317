"""Delivery: integrate, test, deploy and release, often and without downtime.

Nouns: repositories, workflows, runs, artefacts, environments, deployments. Verbs: poll, dispatch, cancel, run again, deploy, roll
back. It watches Git, starts runs, keeps what they build with SBOM and signed provenance, and runs services on this machine
behind one proxy.

It is NOT the engine that carries workflows out (`opsroom.workflows`), and decides nothing about whether a digest may go to
production: that is a gate, which is security's.
"""

from __future__ import annotations

from opsroom.areas.delivery.build_actions import BUILD_ACTIONS
from opsroom.areas.delivery.deploy_actions import DEPLOY_ACTIONS
from opsroom.areas.delivery.events import EVENTS
from opsroom.areas.delivery.expiring import EXPIRE, blobs
from opsroom.areas.delivery.facts import what_runs
from opsroom.areas.delivery.kinds import ENVIRONMENT
from opsroom.areas.delivery.migrations import MIGRATIONS
from opsroom.areas.delivery.operations import artifacts, deployments, environments, repositories, runs, workflows
from opsroom.areas.delivery.pages import PAGES, PARTS
from opsroom.areas.delivery.running import KEEP
from opsroom.areas.delivery.triggering import DISPATCH, START_RUNS
from opsroom.areas.delivery.watching import WATCH
from opsroom.contracts.area import Area
from opsroom.contracts.facts import WhatRuns
from opsroom.contracts.operations import operations_of

AREA = Area(
    name="delivery",
    promise="Integrate, test, deploy and release, often and without downtime.",
    nouns=("repositories", "workflows", "runs", "artifacts", "environments", "deployments"),
    kinds=(ENVIRONMENT,),
    events=EVENTS,
    operations=operations_of(repositories, workflows, runs, artifacts, environments, deployments),
    migrations=MIGRATIONS,
    facts={WhatRuns: what_runs},
    actions=(*BUILD_ACTIONS, *DEPLOY_ACTIONS),
    subscriptions=(START_RUNS, DISPATCH),
    duties=(WATCH, KEEP, EXPIRE),
    blobs=blobs,
    pages=PAGES,
    parts=PARTS,
)
