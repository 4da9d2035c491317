"""The plane, built from settings: adapters are chosen here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opsroom.app.actions import AreaActions
from opsroom.app.git_access import git_credentials
from opsroom.contracts.area import Area, permission_scopes
from opsroom.contracts.plane import Plane
from opsroom.contracts.ports import Connector
from opsroom.kernel import actors, secrets, waivers
from opsroom.kernel.actors import Actors
from opsroom.kernel.blobs import Blobs
from opsroom.kernel.clock import Clock, SystemClock
from opsroom.kernel.journal import Journal
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.migrations import KERNEL_MIGRATIONS, Migration, migrate
from opsroom.kernel.outbound import Outbound
from opsroom.kernel.queue import Queue
from opsroom.kernel.repos import Repos
from opsroom.kernel.resources import Catalogs
from opsroom.kernel.secrets import Redactor, Secrets
from opsroom.kernel.settings import Settings
from opsroom.kernel.store import Store
from opsroom.kernel.waivers import Waivers
from opsroom.surfaces.api import replays
from opsroom.telemetry.embedded import EmbeddedTelemetry, limits_of
from opsroom.telemetry.port import Telemetry
from opsroom.workflows import sandbox
from opsroom.workflows import store as runs
from opsroom.workflows.engine import Engine
from opsroom.workflows.store import RunRecord


def migrations_of(areas: Iterable[Area]) -> list[Migration]:
    """Every migration of the house, in the order applied: the kernel, the engine, the surfaces, the areas."""
    own = [
        *KERNEL_MIGRATIONS,
        *actors.MIGRATIONS,
        *secrets.MIGRATIONS,
        *waivers.MIGRATIONS,
        *runs.MIGRATIONS,
        *replays.MIGRATIONS,
    ]
    return own + [migration for area in areas for migration in area.migrations]


def build_plane(
    settings: Settings,
    areas: Sequence[Area],
    connectors: Sequence[Connector] = (),
    *,
    clock: Clock | None = None,
    telemetry: Callable[[Settings, Clock, Journal], Telemetry] | None = None,
) -> Plane:
    """Opens the state (and migrates it) and puts every service together. Nothing runs and nothing listens yet."""
    clock = clock or SystemClock()
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = Store(settings.database_url, durable=settings.durable)
    migrations = migrations_of(areas)
    migrate(store, migrations)
    redactor = Redactor()
    journal = Journal(clock, redact=redactor.redact)
    ledger = Ledger(store, clock, redact=redactor.redact)
    queue = Queue(store, clock)
    hidden = Secrets(
        store, ledger, clock, redactor, keys=settings.keys, state=settings.state, environment=_parts(settings.secret_env),
        folders=[Path(folder) for folder in _parts(settings.secret_files)],
    )  # fmt: skip
    people = Actors(store, ledger, clock, keys=settings.keys, session_hours=settings.session_hours)
    people.first_start()
    actions = AreaActions(areas)
    catalogs = Catalogs()
    engine = Engine(
        store=store, ledger=ledger, queue=queue, clock=clock, journal=journal, settings=settings, actions=actions,
        secrets=lambda run, job: _secrets_of(hidden, run), mask_key=lambda job: hidden.key_for(f"masks of {job}"), sandbox_problem=_sandbox_problem, redact=redactor.redact,
        price_version=lambda: _price_version(catalogs), plane_actions=actions.names, extra_scopes=permission_scopes(areas),
    )  # fmt: skip
    plane = Plane(
        settings=settings, clock=clock, journal=journal, store=store, ledger=ledger, queue=queue,
        blobs=Blobs(settings.state / "blobs"), secrets=hidden, actors=people, waivers=Waivers(store, ledger, clock),
        repos=Repos(settings.state / "repos", credentials=git_credentials(hidden), ssh=settings.git_ssh), catalogs=catalogs, outbound=Outbound(allow=settings.outbound_allow),
        telemetry=(telemetry or _embedded)(settings, clock, journal), engine=engine, areas=tuple(areas), migrations=tuple(migrations),
        answers=_answers(areas), notifiers={one.kind: one for connector in connectors for one in connector.notifiers},
    )  # fmt: skip
    actions.bind(plane)
    return plane


def _embedded(settings: Settings, clock: Clock, journal: Journal) -> Telemetry:
    return EmbeddedTelemetry(
        settings.state / "telemetry", limits_of(settings), clock, journal, durable=settings.durable
    )


def _answers(areas: Iterable[Area]) -> Mapping[type[Any], Any]:
    answers: dict[type[Any], Any] = {}
    for area in areas:
        for question, answer in area.facts.items():
            if question in answers:
                raise AssertionError(f"{question.__name__} is answered by two areas; {area.name} is the second")
            answers[question] = answer
    return answers


def _price_version(catalogs: Catalogs) -> str:
    """The version of the price list in force, recorded with every run; "" without one."""
    lists = catalogs.current().all("PriceList")
    return str(lists[0].spec.version) if lists else ""


def _secrets_of(hidden: Secrets, run: RunRecord) -> Mapping[str, str]:
    """The secrets that the run's workflow names, and no other; each is a read, and so an event."""
    named = set(re.findall(r"\bsecrets\.([A-Za-z_][A-Za-z0-9_]*)", run.source))
    known = [secret.name for secret in hidden.all() if secret.name in named]
    actor = f"run:{run.id}"
    return {
        name: hidden.resolve(f"secret:{name}", actor, run.queued_event, purpose=f"job of {run.workflow}")
        for name in known
    }


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _sandbox_problem() -> str:
    state = sandbox.probe()
    return "" if state.available else state.reason
