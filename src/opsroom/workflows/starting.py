"""How a run comes to be: a workflow that an event sets off becomes a stored run, queued, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import sqlalchemy as sa

from opsroom.kernel.clock import Clock
from opsroom.kernel.errors import UserError
from opsroom.kernel.store import Store, Tx
from opsroom.workflows import store as rows
from opsroom.workflows.moves import RunRequested
from opsroom.workflows.planning import RunPlan, TriggerEvent, plan_run
from opsroom.workflows.run import CutPolicy, Node, RunState
from opsroom.workflows.scheduler.files import WorkflowFiles
from opsroom.workflows.scheduler.plans import trigger_as_json
from opsroom.workflows.scheduler.transitions import Transitions
from opsroom.workflows.store import RUNS, RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the syntax of workflows has no place for. `overlap`: what a schedule does while its last run still goes on; `missed`:
    what it does about times at which the server was down; `cut_off`: whether a step that a crash cut off is started again, and
    `step_retries` how often (None: the setting)."""

    time_zone: str = "UTC"
    overlap: Literal["skip", "queue", "allow"] = "skip"
    missed: Literal["run_once", "skip"] = "run_once"
    cut_off: CutPolicy = "retry"
    step_retries: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """Where workflows come from, and what their jobs may have. `git` is a local Git directory that holds the commits; `network` the
    hosts its jobs may reach; `services` and `policies` go by workflow path, `service` is for those not named."""

    name: str
    git: str = ""
    network: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    service: str = ""
    services: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)

    def service_of(self, path: str) -> str:
        return self.services.get(path, self.service)

    def policy_of(self, path: str) -> Policy:
        return self.policies.get(path, Policy())


class Starter:
    """Creates runs. `price_version` names the price list in force; `server_url` is what `github.server_url` says."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        files: WorkflowFiles,
        transitions: Transitions,
        step_retries: int,
        price_version: Callable[[], str],
        server_url: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._files = files
        self._transitions = transitions
        self._step_retries = step_retries
        self._price_version = price_version
        self._server_url = server_url

    def start(self, path: str, text: str, event: TriggerEvent, repository: Repository, *, group: str = "") -> str:
        """The id of the run. The same cause never starts the same workflow twice: the second time gives the first one's id.

        A file that cannot be read or planned becomes a run that fails and says why. `group`: taken where the workflow has none.
        """
        with self._store.begin() as tx:
            return self.start_in(tx, path, text, event, repository, group=group)

    def start_in(
        self, tx: Tx, path: str, text: str, event: TriggerEvent, repository: Repository, *, group: str = ""
    ) -> str:
        """The same within a transaction of the caller's."""
        if event.cause and (known := self._known(tx, path, event)):
            return known
        id, number = self._clock.new_id("run"), rows.next_number(tx, repository.name, path)
        plan = self._plan(id, number, path, text, event, repository)
        record = RunRecord(
            id=id, number=number, repository=repository.name, workflow=path, name=plan.workflow.name if plan else path,
            title=plan.name if plan else path, commit=event.commit, ref=event.ref, event=event.name, trigger_event=event.cause,
            actor=event.actor or "system:engine", service=repository.service_of(path), price_version=self._price_version(),
            source=text, context={
                "trigger": trigger_as_json(event), "git": repository.git, "network": list(repository.network),
                "variables": dict(repository.variables), "server_url": self._server_url,
            },
        )  # fmt: skip
        rows.insert(tx, record, self._state(id, plan, repository.policy_of(path), group), self._clock.now())
        self._transitions.apply_in(tx, id, RunRequested())
        return id

    def _known(self, tx: Tx, path: str, event: TriggerEvent) -> str:
        same = (RUNS.c.trigger_event == event.cause, RUNS.c.workflow == path, RUNS.c.event == event.name)
        return str(tx.scalar(sa.select(RUNS.c.id).where(*same, RUNS.c.ref == event.ref).limit(1)) or "")

    def _plan(
        self, id: str, number: int, path: str, text: str, event: TriggerEvent, repository: Repository
    ) -> RunPlan | None:
        """None: it cannot be planned; the run's only job will say why."""
        try:
            workflow = self._files.read(text, path)
            return plan_run(
                workflow, event, run_id=id, number=number, variables=repository.variables, server_url=self._server_url
            )
        except UserError:
            return None

    def _state(self, id: str, plan: RunPlan | None, policy: Policy, group: str) -> RunState:
        retries = self._step_retries if policy.step_retries is None else policy.step_retries
        nodes: tuple[Node, ...] = (Node(id="workflow-file", name="Workflow file"),)
        if plan is not None:
            nodes = tuple(Node(id=job.id, name=job.name, needs=job.needs) for job in plan.jobs)
        return RunState(
            id=id, nodes=nodes, group=plan.group or group if plan else "", group_cancels=plan.group_cancels if plan else False,
            step_retries=retries, cut_policy=policy.cut_off,
        )  # fmt: skip
