"""The grammar of a workflow file: its keys, their types, and the contexts each may use.

Source: "Workflow syntax for GitHub Actions" and the table "Context availability" of its documentation.
"""

from __future__ import annotations

from collections.abc import Iterable

from opsroom.workflows.syntax.events import EVENTS, event_shape
from opsroom.workflows.syntax.shapes import (
    Anything,
    Boolean,
    Either,
    Fields,
    Kinds,
    Number,
    Scalar,
    Sequence,
    Shape,
    Text,
)

RUN = ("github", "inputs", "vars")
NEEDS = (*RUN, "needs")
MATRIX = (*NEEDS, "strategy", "matrix")
JOB = (*MATRIX, "secrets", "steps", "job", "runner", "env")
HASH_FILES = "hashFiles(1,255)"
STEP = (*JOB, HASH_FILES)
JOB_STATUS = ("always(0,0)", "cancelled(0,0)", "success(0,MAX)", "failure(0,MAX)")
STEP_STATUS = ("always(0,0)", "cancelled(0,0)", "success(0,0)", "failure(0,0)")
STEP_IF = (*MATRIX, "steps", "job", "runner", "env", HASH_FILES, *STEP_STATUS)

FILLED = Text(filled=True)
TEXTS = Sequence(item=FILLED, or_one=True)
LEVELS = {
    "id-token": ("write", "none"),
    "copilot-requests": ("write", "none"),
    "models": ("read", "none"),
    "vulnerability-alerts": ("read", "none"),
}
ANY_LEVEL = ("read", "write", "none")
SCOPES = (
    *("actions", "artifact-metadata", "attestations", "checks", "code-quality", "contents", "copilot-requests"),
    *("deployments", "discussions", "drives", "id-token", "issues", "models", "packages", "pages", "pull-requests"),
    *("repository-projects", "security-events", "statuses", "vulnerability-alerts"),
)


def levels_of(scope: str) -> tuple[str, ...]:
    """The levels a permission scope knows."""
    return LEVELS.get(scope, ANY_LEVEL)


def workflow_shape(extra_scopes: Iterable[str] = ()) -> Fields:
    """The shape of a whole file; `extra_scopes` are permission scopes beside GitHub's, with the levels read, write and none."""
    permissions = _permissions((*SCOPES, *extra_scopes))
    return Fields(
        noun="the workflow",
        required=("on", "jobs"),
        keys={
            "on": _on(),
            "name": Text(),
            "description": Text(),
            "run-name": Text(contexts=RUN),
            "defaults": _defaults(()),
            "env": Fields(noun="env", others=Text(), contexts=(*RUN, "secrets")),
            "permissions": permissions,
            "concurrency": _concurrency(RUN),
            "jobs": Fields(noun="jobs", others=_job(permissions)),
        },
    )


def _on() -> Shape:
    events = tuple(EVENTS)
    known = {name: event_shape(name) for name in events}
    return Either(
        mapping=Fields(noun="on", keys=known), other=Sequence(item=Text(filled=True, one_of=events), or_one=True)
    )


def _permissions(scopes: tuple[str, ...]) -> Shape:
    keys = {scope: Text(one_of=levels_of(scope)) for scope in scopes}
    return Either(mapping=Fields(noun="permissions", keys=keys), other=Text(one_of=("read-all", "write-all")))


def _defaults(contexts: tuple[str, ...]) -> Fields:
    run = Fields(noun="defaults.run", keys={"shell": FILLED, "working-directory": FILLED}, contexts=contexts)
    return Fields(noun="defaults", keys={"run": run})


def _concurrency(contexts: tuple[str, ...]) -> Shape:
    keys = {"group": FILLED, "cancel-in-progress": Boolean(), "queue": Text(one_of=("single", "max"))}
    mapping = Fields(noun="concurrency", keys=keys, required=("group",))
    return Either(mapping=mapping, other=FILLED, contexts=contexts)


def _job(permissions: Shape) -> Shape:
    shared: dict[str, Shape] = {
        "name": Text(contexts=MATRIX),
        "needs": TEXTS,
        "if": Text(condition=True, contexts=(*NEEDS, *JOB_STATUS)),
        "permissions": permissions,
        "concurrency": _concurrency(MATRIX),
        "strategy": _strategy(),
    }
    own: dict[str, Shape] = {
        "runs-on": Either(
            mapping=Fields(noun="runs-on", keys={"group": FILLED, "labels": TEXTS}), other=TEXTS, contexts=MATRIX
        ),
        "env": Fields(noun="env", others=Text(), contexts=(*MATRIX, "secrets")),
        "defaults": _defaults((*MATRIX, "env")),
        "outputs": Fields(noun="outputs", others=Text(contexts=JOB)),
        "timeout-minutes": Number(contexts=MATRIX),
        "cancel-timeout-minutes": Number(contexts=MATRIX),
        "continue-on-error": Boolean(contexts=MATRIX),
        "environment": _environment(),
        "container": Either(mapping=_container("container"), other=Text(), contexts=MATRIX),
        "services": Fields(
            noun="services",
            others=Either(mapping=_container("service", ("entrypoint", "command")), other=FILLED),
            contexts=MATRIX,
        ),
        "snapshot": Either(mapping=_snapshot(), other=FILLED),
        "steps": Sequence(item=step_shape()),
    }
    calling: dict[str, Shape] = {
        "uses": FILLED,
        "with": Fields(noun="with", others=Scalar(contexts=MATRIX)),
        "secrets": Either(
            mapping=Fields(noun="secrets", others=Scalar(contexts=(*MATRIX, "secrets"))),
            other=Text(one_of=("inherit",)),
        ),
    }
    plain = Fields(noun="the job", keys={**shared, **own}, required=("runs-on",))
    call = Fields(noun="the job that calls a workflow", keys={**shared, **calling}, required=("uses",))
    telling = (*((key, plain) for key in own), *((key, call) for key in calling))
    return Kinds(telling=telling, default=plain)


def _strategy() -> Shape:
    filters = Sequence(item=Fields(noun="matrix item", others=Anything()))
    matrix = Fields(noun="matrix", keys={"include": filters, "exclude": filters}, others=Sequence(item=Anything()))
    keys = {"fail-fast": Boolean(), "max-parallel": Number(), "matrix": matrix}
    return Fields(noun="strategy", keys=keys, contexts=NEEDS)


def _environment() -> Shape:
    keys: dict[str, Shape] = {
        "name": Text(),
        "url": Text(contexts=(*MATRIX, "steps", "job", "runner", "env")),
        "deployment": Boolean(),
    }
    return Either(mapping=Fields(noun="environment", keys=keys, required=("name",)), other=Text(), contexts=MATRIX)


def _container(noun: str, more: tuple[str, ...] = ()) -> Fields:
    credentials = Fields(
        noun="credentials", keys={"username": FILLED, "password": FILLED}, contexts=(*RUN, "secrets", "env")
    )
    ports = Sequence(item=FILLED)
    return Fields(
        noun=noun,
        keys={
            "image": FILLED,
            "options": Text(),
            "env": Fields(noun="env", others=Text(contexts=JOB)),
            "ports": ports,
            "volumes": ports,
            "credentials": credentials,
            **{key: Text() for key in more},
        },
    )


def _snapshot() -> Fields:
    condition = Text(condition=True, contexts=MATRIX)
    keys: dict[str, Shape] = {"image-name": FILLED, "if": condition, "version": FILLED}
    return Fields(noun="snapshot", keys=keys, required=("image-name",))


def step_shape(
    contexts: tuple[str, ...] = STEP, condition: tuple[str, ...] = STEP_IF, *, composite: bool = False
) -> Kinds:
    """One step of a job, or with `composite` of an action: there `shell` is required, and nothing runs in the background."""
    any_step: dict[str, Shape] = {
        "name": Text(contexts=contexts),
        "id": FILLED,
        "continue-on-error": Boolean(contexts=contexts),
    }
    working: dict[str, Shape] = {
        **any_step,
        "if": Text(condition=True, contexts=condition),
        "env": Fields(noun="env", others=Text(), contexts=contexts),
    }
    if not composite:
        working |= {"timeout-minutes": Number(contexts=contexts), "background": Boolean()}
    text = Text(contexts=contexts)
    shell = text if composite else FILLED
    run_keys = {**working, "run": text, "shell": shell, "working-directory": text}
    run_required = ("run", "shell") if composite else ("run",)
    run = Fields(noun="the step", keys=run_keys, required=run_required, ways_out=_RUN_OR_USES)
    uses_keys = {**working, "uses": FILLED, "with": Fields(noun="with", others=Text(), contexts=contexts)}
    uses = Fields(noun="the step", keys=uses_keys, required=("uses",), ways_out=_RUN_OR_USES)
    telling = [("run", run), ("uses", uses), ("shell", run), ("working-directory", run), ("with", uses)]
    if not composite:
        telling += _waiting(any_step)
    return Kinds(telling=tuple(telling), default=run)


_RUN_OR_USES = {
    "run": "a step has either 'run:' or 'uses:'",
    "uses": "a step has either 'run:' or 'uses:'",
    "with": "it goes with 'uses:'; give a script its values by 'env:'",
    "working-directory": "it goes with 'run:'",
}


def _waiting(any_step: dict[str, Shape]) -> list[tuple[str, Fields]]:
    kinds: dict[str, Shape] = {
        "wait": TEXTS,
        "wait-all": Scalar(),
        "cancel": FILLED,
        "parallel": Sequence(item=Anything()),
    }
    return [
        (key, Fields(noun="the step", keys={**any_step, key: shape}, required=(key,))) for key, shape in kinds.items()
    ]
