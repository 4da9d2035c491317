"""Carries out one step: its condition, its environment, its script or action, and what it leaves.

Source of the rules: "Workflow syntax for GitHub Actions", "Contexts reference" and "Workflow commands".
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opsroom.kernel.errors import Invalid, UserError
from opsroom.workflows.expressions import (
    ExpressionError,
    Function,
    Status,
    condition,
    interpolate,
    resolve,
    to_number,
    to_text,
)
from opsroom.workflows.planning.coerce import as_boolean
from opsroom.workflows.protocol import Outcome, StepResult
from opsroom.workflows.runner.builtin import Effect, Use
from opsroom.workflows.runner.environment import is_reserved
from opsroom.workflows.runner.output import StepOutput
from opsroom.workflows.runner.scope import Scope
from opsroom.workflows.runner.scripts import Script, source, suffix
from opsroom.workflows.runner.shell import ShellDied
from opsroom.workflows.runner.step_files import StepFiles
from opsroom.workflows.runner.world import World

PLANE = "opsroom/"
CANCEL_SECONDS = 300.0
"""How long a step that runs in spite of cancellation may take (GitHub: five minutes)."""
_LOCAL = ("./", ".\\")


class Suspended(Exception):
    """A step that runs in the plane was reached; `data` is what `job.suspended` says."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        super().__init__(data["uses"])


@dataclass(slots=True, kw_only=True)
class Carried:
    """What one step left so far; it becomes a StepResult."""

    outcome: Outcome = "success"
    outputs: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    state: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    cpu_seconds: float = 0.0
    error: str = ""
    told: bool = False

    def fail(self, error: str, *, told: bool = False) -> None:
        """`told`: the log has said so already."""
        self.outcome = "failure"
        self.told = self.told if self.error else told
        self.error = self.error or error


@dataclass(frozen=True, slots=True)
class Limit:
    """A step's `timeout-minutes`, and the monotonic time at which they are over."""

    minutes: float
    at: float


class Carrier:
    """Carries out one step (`raw`, as in `JobOrder.steps`) in its scope. `index` is that of the job's step it belongs to,
    `limit` that of the composite action it stands in, `resumed` how far it came before (as in `JobOrder.inner`), if it is one.
    `used` is what a built-in action was given, once it ran."""

    def __init__(
        self,
        world: World,
        scope: Scope,
        raw: Mapping[str, Any],
        index: int,
        *,
        limit: Limit | None = None,
        resumed: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.world = world
        self.scope = scope
        self.raw = raw
        self.index = index
        self.id = str(raw.get("id") or f"__{index + 1}")
        self.env: dict[str, str] = {}
        self.left = Carried()
        self.limit = limit
        self.resumed = resumed
        self.used: Use | None = None
        self.output = StepOutput(
            index, sink=world.sink, masks=world.masks, limit=world.order.output_bytes, debug=world.debug
        )

    def wanted(self) -> bool:
        """Whether the step's `if` holds. What cannot be evaluated is told by `error`, and the step is to fail."""
        self.world.look()
        try:
            self._evaluate_env()
            return condition(
                str(self.raw.get("if", "")), self.contexts(), status=self._status(), functions=self.functions()
            )
        except UserError as error:
            self.left.fail(self._placed(error))
            return True

    def name(self) -> str:
        """What the step is called."""
        given = to_text(self.raw.get("name"))
        if not given:
            lines = str(self.raw.get("run", "")).strip().splitlines()
            given = f"Run {self.raw.get('uses') or (lines[0].strip() if lines else self.id)}"
        try:
            return self._text(given)
        except ExpressionError:
            return given

    def carry(self, *, started: str, now: Any) -> StepResult:
        """Does the step. Suspended: it is the plane's."""
        if not self.left.error:
            try:
                self._do()
            except UserError as error:
                self.left.fail(self._placed(error))
        self.output.end()
        if self.output.error:
            self.left.fail(self.output.error)
        if self.left.error and self.left.outcome == "failure" and not self.left.told:
            self.output.annotate("error", self.left.error)
        conclusion = self._conclusion()
        return StepResult(
            index=self.index, id=self.id, outcome=self.left.outcome, conclusion=conclusion, outputs=self.left.outputs,
            env=self.left.env, path=self.left.path, state=self.left.state, exit_code=self.left.exit_code,
            cpu_seconds=round(self.left.cpu_seconds, 6), started=started, finished=now(),
            error=self.world.masks.hide(self.left.error),
        )  # fmt: skip

    def contexts(self) -> dict[str, Any]:
        """What this step's expressions see."""
        status = "cancelled" if self.world.cancelled else self.scope.status
        return self.scope.see({**self.scope.env, **self.world.env, **self.env}, job_status=status)

    def functions(self) -> dict[str, Function]:
        return {"hashFiles": Function(call=self._hash_files, least=1)}

    # -- what is evaluated

    def _status(self) -> Status:
        return "cancelled" if self.world.cancelled else self.scope.status  # type: ignore[return-value]

    def _evaluate_env(self) -> None:
        found = resolve(dict(self.raw.get("env") or {}), self.contexts(), functions=self.functions())
        self.env = {str(key): to_text(value) for key, value in found.items()}

    def _conclusion(self) -> Outcome:
        if self.left.outcome != "failure":
            return self.left.outcome
        try:
            tolerated = self._tolerated()
        except UserError as error:
            self.output.annotate("error", self._placed(error))
            tolerated = False
        return "success" if tolerated else "failure"

    def _tolerated(self) -> bool:
        given = resolve(self.raw.get("continue-on-error", False), self.contexts(), functions=self.functions())
        return as_boolean(given, "continue-on-error")

    def _own_limit(self) -> Limit | None:
        """The earlier of this step's own limit and that of the composite action around it."""
        raw = self.raw.get("timeout-minutes")
        if raw is None:
            return self.limit
        given = resolve(raw, self.contexts(), functions=self.functions())
        minutes = to_number(given)
        if not minutes > 0:
            raise Invalid(f"timeout-minutes is {to_text(given)!r}; write a number of minutes above 0")
        own = Limit(minutes, time.monotonic() + minutes * 60)
        return own if self.limit is None or own.at < self.limit.at else self.limit

    def _text(self, raw: Any) -> str:
        return interpolate(to_text(raw), self.contexts(), functions=self.functions())

    def _placed(self, error: UserError) -> str:
        place = self.raw.get("place")
        return f"{place}: {error}" if place else str(error)

    def _hash_files(self, *patterns: Any) -> str:
        from opsroom.workflows.runner.globs import hash_files

        return hash_files(self.world.layout.workspace, [to_text(one) for one in patterns])

    # -- what is done

    def _do(self) -> None:
        self.limit = self._own_limit()
        uses = self.raw.get("uses")
        if not uses:
            self._run_script()
        elif str(uses).startswith(_LOCAL):
            self._run_composite(str(uses))
        elif str(uses).startswith(PLANE):
            self._hand_over(str(uses))
        else:
            self._run_built_in(str(uses))

    def _run_script(self) -> None:
        world, order = self.world, self.world.order
        text = self._text(self.raw.get("run", ""))
        shell = self._text(self.raw.get("shell") or order.defaults.get("shell") or "")
        folder = self._text(self.raw.get("working-directory") or order.defaults.get("working-directory") or "")
        world.commands += 1
        number = world.commands
        opened = StepFiles(world.layout, world.spare, number)
        script = Script(
            text=text,
            shell=shell,
            folder=_joined(world.layout.inside_workspace, folder),
            environment=self._environment(opened.variables),
            path=f"{world.scripts}/{number}{suffix(shell)}",
            marker=f"{world.marker}:{number}",
        )
        prepared = source(script)
        self._show_script(text, shell)
        self._execute(number, prepared)
        self._read_files(opened)

    def _execute(self, number: int, prepared: str) -> None:
        world, limit = self.world, self.limit
        job_limit = world.deadline if not world.cancelled else time.monotonic() + CANCEL_SECONDS
        deadline = min(limit.at, job_limit) if limit else job_limit
        late = bool(world.cancelled)
        cancellation = None if late else world.cancellation
        try:
            ended = world.shell.run(
                number, prepared, output=self.output.feed, cancellation=cancellation, deadline=deadline
            )
        except ShellDied as died:
            self._shell_died(died, late)
            return
        self.output.end()
        self.left.cpu_seconds += ended.cpu_seconds
        self.left.exit_code = ended.code
        world.look()
        if ended.stopped == "cancelled" or (ended.stopped and not late and deadline == job_limit):
            self.left.outcome, self.left.error = "cancelled", world.cancelled
        elif ended.stopped and limit and deadline == limit.at:
            self.left.fail(f"the step exceeded its limit of {limit.minutes:g} minutes")
        elif ended.stopped:
            self.left.fail(f"the step ran longer than {CANCEL_SECONDS:g} seconds after the job was cancelled")
        elif ended.code:
            self.left.fail(f"Process completed with exit code {ended.code}.")

    def _shell_died(self, died: ShellDied, late: bool) -> None:
        """The shell that all steps share ended: it never started, or the step, or the runner stopping the step, killed it."""
        world = self.world
        world.look()
        self.output.end()
        if world.cancelled and not late:
            self.left.outcome, self.left.error = "cancelled", world.cancelled
        elif died.stopped:
            self.left.fail("the step exceeded its time and was killed with all processes of the job")
        elif world.sandboxed and world.commands == 1 and died.output.startswith("bwrap: "):
            raise NoSandbox(died.output.splitlines()[0])
        else:
            self.left.fail(f"the job's shell ended (status {died.code}): the step killed it, or memory ran out")

    def _run_built_in(self, uses: str) -> None:
        name, _, _ = uses.partition("@")
        action = self.world.actions.get(name.lower())
        if action is None:
            allowed = ", ".join([*sorted(self.world.actions), "opsroom/NAME", "./path"])
            raise Invalid(f"uses: {uses!r} is no action here; allowed are {allowed}")
        self.used = self.use(name)
        action.warn(self.used)
        self._take(action.run(self.used))

    def use(self, name: str) -> Use:
        """What a built-in action is given."""
        given = resolve(dict(self.raw.get("with") or {}), self.contexts(), functions=self.functions())
        world = self.world
        return Use(
            name=name, inputs={str(key).lower(): to_text(value) for key, value in given.items()}, order=world.order,
            layout=world.layout, output=self.output, step=self.index, place=str(self.raw.get("place") or ""),
            environment=self._environment({}),
            github=self.scope.contexts.get("github") or {}, sandboxed=world.sandboxed, event=world.sink.event,
            cancelled=world.cancellation.is_set,
        )  # fmt: skip

    def _take(self, effect: Effect) -> None:
        self.left.outputs.update(effect.outputs)
        self.left.env.update(effect.env)
        self.left.state.update(effect.state)
        self.left.path = (*self.left.path, *effect.path)
        self.world.env.update(effect.env)
        self.world.path = [*reversed(effect.path), *self.world.path]

    def _hand_over(self, uses: str) -> None:
        if self.world.plane_steps == "refuse":
            raise Invalid(
                f"uses: {uses!r} needs a plane; push to one, or leave such steps out with --skip-plane-actions"
            )
        if self.world.plane_steps == "skip":
            self.left.outcome = "skipped"
            self.output.write(f"{uses} is left out: it needs a plane", "notice")
            return
        given = resolve(dict(self.raw.get("with") or {}), self.contexts(), functions=self.functions())
        inputs = {str(key): to_text(value) for key, value in given.items()}
        data = {
            "index": self.index,
            "id": self.id,
            "uses": uses,
            "inputs": self.world.masks.seal_all(inputs),
            "env": self.world.masks.seal_all({**self.scope.env, **self.world.env, **self.env}),
            "continue_on_error": self._tolerated(),
            "inner": [],
        }
        raise Suspended(data)

    def _run_composite(self, uses: str) -> None:
        from opsroom.workflows.runner.composite_steps import run_composite

        run_composite(self, uses)

    # -- the environment and the files of a script

    def _environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """Least first: the runner's defaults, the job's env, what earlier steps set, the step's env; the runner's names are its own."""
        world = self.world
        given = {**self.scope.env, **world.env, **self.env}
        found = {**world.defaults, **{key: value for key, value in given.items() if not is_reserved(key)}, **own}
        path = given.get("PATH", world.search_path)
        found["PATH"] = ":".join([*world.path, path])
        found["GITHUB_ACTION"] = self.id
        if self.scope.action_path:
            found["GITHUB_ACTION_PATH"] = self.scope.action_path
        return found

    def _read_files(self, opened: StepFiles) -> None:
        try:
            effect, summary = opened.read(self.output)
        except Invalid as error:
            self.left.fail(str(error))
            return
        self._take(effect)
        if summary.strip():
            self.world.sink.event("summary", {"step": self.index, "markdown": self.world.masks.hide(summary)})

    def _show_script(self, text: str, shell: str) -> None:
        lines = text.rstrip("\n").split("\n")
        self.output.write(f"Run {lines[0].strip()}", "group")
        self.output.write("\n".join(lines), "command")
        if shell:
            self.output.write(f"shell: {shell}", "command")
        self.output.write("", "endgroup")


class NoSandbox(Exception):
    """The kernel refuses the sandbox; no command of the job was run, and none will be."""


def _joined(root: str, folder: str) -> str:
    return folder if folder.startswith("/") else f"{root}/{folder}" if folder else root
