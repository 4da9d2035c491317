"""Carries out the steps of one job from `order.start_at` on, and tells the sink what happens."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsroom.kernel.clock import Clock, SystemClock, stamp
from opsroom.kernel.errors import UserError
from opsroom.kernel.settings import child_environment
from opsroom.workflows.expressions import interpolate, resolve, to_text
from opsroom.workflows.protocol import JobOrder, Outcome, StepResult
from opsroom.workflows.runner.actions import BUILT_IN
from opsroom.workflows.runner.beneath import Folder
from opsroom.workflows.runner.builtin import BuiltIn
from opsroom.workflows.runner.cancellation import Cancellation
from opsroom.workflows.runner.carrying import Carrier, NoSandbox, Suspended
from opsroom.workflows.runner.environment import EVENT_FILE, default_variables, runner_context
from opsroom.workflows.runner.layout import Layout
from opsroom.workflows.runner.mask_file import MaskFile
from opsroom.workflows.runner.masks import Masks
from opsroom.workflows.runner.place import Place, Request, find_place
from opsroom.workflows.runner.scope import Scope
from opsroom.workflows.runner.sink import Sink
from opsroom.workflows.runner.step_files import COMMAND_FILE
from opsroom.workflows.runner.world import PlaneSteps, World
from opsroom.workflows.sandbox import Limits

if TYPE_CHECKING:
    from opsroom.workflows.runner.posts import Post

_OUTPUT_BYTES = 1024 * 1024
"""Characters of all outputs of one job, as GitHub limits them."""


class JobRunner:
    """One job in one folder. `run` ends with `job.finished` or `job.suspended` said to the sink, and returns that event's data.

    `secrets` are values by name. `cancellation` is set from outside to stop the job. `grace` is that of `JobShell`.
    """

    def __init__(
        self,
        order: JobOrder,
        folder: Path,
        sink: Sink,
        secrets: Mapping[str, str],
        *,
        actions: Mapping[str, BuiltIn] = BUILT_IN,
        cancellation: Cancellation | None = None,
        clock: Clock | None = None,
        grace: tuple[float, float] = (7.5, 2.5),
        limits: Limits = Limits(),  # noqa: B008 - frozen
        plane_steps: PlaneSteps = "suspend",
        debug: bool = False,
        mask_key: bytes = b"",
    ) -> None:
        self._order = order
        self._folder = folder
        self._sink = sink
        self._secrets = dict(secrets)
        self._masks = Masks(self._secrets, MaskFile(folder, mask_key) if mask_key else None)
        self._actions = actions
        self._cancellation = cancellation or Cancellation()
        self._clock = clock or SystemClock()
        self._grace = grace
        self._limits = limits
        self._place: Place | None = None
        self._step = 0
        self._plane_steps = plane_steps
        self._debug = debug or self._secrets.get("ACTIONS_STEP_DEBUG") == "true"

    def run(self) -> Mapping[str, Any]:
        """Carries the job out."""
        order = self._order
        kind = "bubblewrap" if order.sandbox else "none"
        self._sink.event("job.started", {"pid": os.getpid(), "sandbox": kind})
        error = ""
        try:
            self._world = self._prepare()
        except UserError as problem:
            return self._finish("failure", {}, error=str(problem))
        try:
            error = self._steps()
        except Suspended as suspended:
            self._end()
            return self._say("job.suspended", suspended.data)
        except BaseException:
            self._end()
            raise
        outputs = {} if error else self._outputs()
        return self._finish(self._conclusion(error), outputs, error=error or self._world.cancelled)

    # -- before the steps

    def _prepare(self) -> World:
        order = self._order
        github = dict(order.contexts.get("github") or {})
        layout = Layout.of(self._folder, sandboxed=order.sandbox, repository=str(github.get("repository", "")))
        runner = runner_context(layout, debug=self._debug)
        github |= {
            "workspace": layout.inside_workspace,
            "event_path": layout.inside(EVENT_FILE),
        }
        _clean_temp(layout.temp, json.dumps(github.get("event") or {}).encode())
        self._scope = Scope(contexts={**order.contexts, "github": github, "runner": runner, "secrets": self._secrets})
        inherited = child_environment()
        marker = f"{order.run}/{order.job}/{order.attempt}/{os.getpid()}"
        self._place = place = find_place(
            Request(
                order=order, folder=self._folder, layout=layout, inherited=inherited, marker=marker, grace=self._grace,
                limits=self._limits, say=self._say_line,
            )
        )  # fmt: skip
        world = World(
            order=order, layout=layout, sink=self._sink, masks=self._masks, shell=place.shell, scripts=place.scripts,
            defaults={**default_variables(github, runner, layout, inherited), **place.variables}, search_path=place.search_path,
            cancellation=self._cancellation, deadline=time.monotonic() + order.timeout_minutes * 60,
            actions=self._actions, sandboxed=order.sandbox, marker=marker, debug=self._debug,
            plane_steps=self._plane_steps,
        )  # fmt: skip
        self._scope.env = self._job_env()
        for result in order.done:
            self._resume(world, result)
        return world

    def _job_env(self) -> dict[str, str]:
        seen = self._scope.see({}, job_status="success")
        found = resolve(dict(self._order.env), {**seen, "env": self._order.contexts.get("env") or {}})
        return {str(key): to_text(value) for key, value in found.items()}

    def _resume(self, world: World, result: StepResult) -> None:
        """Takes over what a step left that was done before this runner started."""
        unsealed = self._masks.unseal_all
        env, outputs, path = unsealed(result.env), unsealed(result.outputs), map(self._masks.unseal, result.path)
        world.env.update(env)
        world.path = [*reversed(list(path)), *world.path]
        self._scope.remember(
            StepResult(
                index=result.index, id=result.id, outcome=result.outcome, conclusion=result.conclusion, outputs=outputs
            )
        )
        if result.conclusion == "cancelled" and not world.cancelled:
            world.cancelled = result.error or "the job was cancelled"

    # -- the steps

    def _steps(self) -> str:
        """Carries out what is left; the error that ends the job early ("" : none)."""
        done = {result.index: result for result in self._order.done}
        states: dict[int, Mapping[str, str]] = {
            index: self._masks.unseal_all(result.state) for index, result in done.items() if result.state
        }
        for index, raw in enumerate(self._order.steps):
            if index in done or index < self._order.start_at:
                continue
            self._step = index
            resumed = self._order.inner if index == self._order.start_at else ()
            carrier = Carrier(self._world, self._scope, raw, index, resumed=resumed)
            if index == self._order.start_at and self._order.step_attempt > 1:
                carrier.output.write(
                    f"this step was cut off and starts again (attempt {self._order.step_attempt})", "notice"
                )
            started = self._now()
            try:
                result = self._carry(carrier, started)
            except NoSandbox as refused:
                return (
                    f"this job needs a sandbox and the kernel refuses it ({refused}); "
                    "an admin may allow the workflow to run unsandboxed"
                )
            self._scope.remember(result)
            if result.state:
                states[index] = result.state
        self._at_end(states)
        return ""

    def _carry(self, carrier: Carrier, started: str) -> StepResult:
        sink = self._sink
        if not carrier.wanted() and not carrier.resumed:
            result = StepResult(
                index=carrier.index,
                id=carrier.id,
                outcome="skipped",
                conclusion="skipped",
                started=started,
                finished=started,
            )
        else:
            name = self._masks.hide(carrier.name())
            sink.event("step.started", {"index": carrier.index, "id": carrier.id, "name": name})
            result = carrier.carry(started=started, now=self._now)
        sink.event("step.finished", self._masks.sealed(result))
        return result

    def _at_end(self, states: Mapping[int, Mapping[str, str]]) -> None:
        """The end of the job of built-in actions, last step first; only when the job succeeded."""
        if not states or self._scope.status != "success" or self._world.cancelled:
            return
        from opsroom.workflows.runner.posts import posts_of

        for index in sorted(states, reverse=True):
            for post in reversed(posts_of(self._order.steps[index], states[index])):
                self._post(index, post)

    def _post(self, index: int, post: Post) -> None:
        action = self._actions.get(post.action.lower())
        if action is None or action.at_end is None:
            return
        raw = self._order.steps[index] if post.inputs is None else {}
        carrier = Carrier(self._world, self._scope, raw, index)
        try:
            use = carrier.use(post.action)
            action.at_end(use if post.inputs is None else replace(use, inputs=post.inputs), post.state)
        except UserError as error:
            carrier.output.annotate("warning", f"{post.action}: {error}")

    # -- after the steps

    def _conclusion(self, error: str) -> Outcome:
        if error:
            return "failure"
        if self._world.cancelled:
            return "cancelled"
        return "failure" if self._scope.status == "failure" else "success"

    def _outputs(self) -> dict[str, str]:
        """The job's outputs; one that holds a secret is left out, as at GitHub."""
        index = max(len(self._order.steps) - 1, 0)
        carrier = Carrier(self._world, self._scope, {}, index)
        found: dict[str, str] = {}
        for name, raw in self._order.outputs.items():
            try:
                value = interpolate(to_text(raw), carrier.contexts(), functions=carrier.functions())
            except UserError as error:
                carrier.output.annotate("error", f"output {name!r}: {error}")
                self._scope.status = "failure"
                continue
            if (
                not value
            ):  # An empty output is none at all, so that one job of a matrix does not blank what another gave.
                continue
            if self._masks.holds(value):
                carrier.output.annotate("warning", f"Skip output '{name}' since it may contain secret.")
            else:
                found[name] = value
        if sum(map(len, found.values())) > _OUTPUT_BYTES:
            carrier.output.annotate(
                "error", "the job's outputs are more than 1 MB together; pass large data as an artifact"
            )
            self._scope.status = "failure"
            return {}
        return found

    def _finish(self, conclusion: Outcome, outputs: Mapping[str, str], *, error: str = "") -> Mapping[str, Any]:
        usage = self._end()
        data: dict[str, Any] = {"conclusion": conclusion, "outputs": dict(outputs), **usage}
        if error:
            data["error"] = self._masks.hide(error)
        return self._say("job.finished", data)

    def _end(self) -> dict[str, Any]:
        """Ends all processes of the job; what they used."""
        place = self._place
        if place is None:
            return {"cpu_seconds": 0.0, "peak_bytes": 0}
        usage = place.shell.close()
        place.leave()
        return {"cpu_seconds": round(usage.cpu_seconds, 6), "peak_bytes": usage.peak_bytes}

    def _say(self, type: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        self._sink.event(type, data)
        return {"type": type, **data}

    def _say_line(self, text: str) -> None:
        self._sink.lines(self._step, [self._masks.hide(text)], "warning")

    def _now(self) -> str:
        return stamp(self._clock.now())


def _clean_temp(temp: Path, event: bytes) -> None:
    """The temp folder as a runner needs it. What a killed runner left goes; nothing a job put in the way is followed."""
    with Folder(temp) as folder:
        for entry in list(folder.walk()):
            if entry.path.startswith(COMMAND_FILE):
                folder.remove(entry.path)
        folder.write(EVENT_FILE, io.BytesIO(event))
