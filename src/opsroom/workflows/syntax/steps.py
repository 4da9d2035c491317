"""Reads steps: one of `run` and `uses` each, ids that are unique, and what is accepted but not run."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from opsroom.kernel.documents import Path
from opsroom.kernel.errors import Problem
from opsroom.workflows.model import Step
from opsroom.workflows.syntax.shapes import Reading, is_single_expression, suggestion

BUILT_IN_ACTIONS = frozenset(
    {
        "actions/cache",
        "actions/cache/restore",
        "actions/cache/save",
        "actions/checkout",
        "actions/download-artifact",
        "actions/setup-python",
        "actions/upload-artifact",
    }
)
PLANE = "opsroom/"
SHELLS = ("bash", "sh", "python")
_OTHER_SHELLS = ("pwsh", "powershell", "cmd")
_WAITING = ("background", "wait", "wait-all", "cancel", "parallel")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,98}")
_LIMIT_RUN = 21_000
"""Characters of one `run` script, as GitHub has it."""


def is_identifier(text: str) -> bool:
    """Whether `text` may be the id of a job or a step."""
    return bool(_IDENTIFIER.fullmatch(text))


class StepReader:
    """Reads the steps of one file. `unsupported` gets what the syntax allows and no runner here carries out."""

    def __init__(
        self,
        reading: Reading,
        unsupported: list[Problem],
        built_in_actions: Collection[str] = BUILT_IN_ACTIONS,
        plane_actions: Collection[str] | None = None,
    ) -> None:
        self.reading = reading
        self.unsupported = unsupported
        self.built_in_actions = built_in_actions
        self.plane_actions = plane_actions

    def read_all(self, steps: Any, path: Path, *, unique: bool = True) -> tuple[Step, ...]:
        """The steps of a shaped list at `path`; `unique`: the same id twice is a problem."""
        if not isinstance(steps, list):
            return ()
        given = [step if isinstance(step, dict) else {} for step in steps]
        ids = self._ids(given, path, unique=unique)
        return tuple(self._step(step, ids[index], (*path, index)) for index, step in enumerate(given))

    def condition(self, value: Any, path: Path) -> str:
        """The expression of an `if` ("" where it is not given)."""
        if not isinstance(value, str):
            return ""
        text = value.strip()
        if "${{" not in text:
            return text
        if not is_single_expression(text):
            message = "this 'if' mixes text with ${{ }}, so it would always be true"
            self._unsupported(path, message, "put all of it inside one ${{ }}")
            return text
        return text[3:-2].strip()

    def _ids(self, steps: list[dict[str, Any]], path: Path, *, unique: bool) -> list[str]:
        taken: dict[str, int] = {}
        for index, step in enumerate(steps):
            given = step.get("id")
            if not given:
                continue
            here = (*path, index, "id")
            if not is_identifier(given) or given.startswith("__"):
                way_out = "use letters, digits, '-' and '_'; start with a letter or one '_'; at most 99 characters"
                self.reading.problem(here, f"step id {given!r} is not valid", way_out)
            if given.lower() in taken and unique:
                line = self.reading.place((*path, taken[given.lower()], "id")).line
                self.reading.problem(
                    here, f"step id {given!r} is already used on line {line}", "give each step an id of its own"
                )
            taken.setdefault(given.lower(), index)
        ids = []
        for index, step in enumerate(steps):
            ids.append(step.get("id") or _generated_id(step, taken))
            taken.setdefault(ids[-1].lower(), index)
        return ids

    def _step(self, given: dict[str, Any], name: str, path: Path) -> Step:
        uses = given.get("uses")
        if uses:
            self._check_uses(uses, (*path, "uses"))
        script = given.get("run")
        if script is not None and len(script) > _LIMIT_RUN:
            message = f"'run' has {len(script):,} characters, the limit is {_LIMIT_RUN:,}"
            self.reading.problem((*path, "run"), message, "put the script into a file of the repository")
        self.check_shell(given.get("shell"), (*path, "shell"))
        for key in _WAITING:
            if (given.get(key) is not None and given[key] is not False) or (key == "wait-all" and key in given):
                self._unsupported((*path, key), f"'{key}' is not run yet", "let the steps follow one another", key=True)
        return Step(
            id=name,
            name=given.get("name") or "",
            condition=self.condition(given.get("if"), (*path, "if")),
            run=script,
            uses=uses,
            with_=given.get("with") or {},
            env=given.get("env") or {},
            shell=given.get("shell"),
            working_directory=given.get("working-directory"),
            continue_on_error=given.get("continue-on-error") or False,
            timeout_minutes=given.get("timeout-minutes"),
            place=self.reading.place(path),
        )

    def check_shell(self, shell: Any, path: Path) -> None:
        """A shell no runner here has goes to `unsupported`; a template with {0} is the author's own affair."""
        if not isinstance(shell, str) or not shell or "${{" in shell or shell in SHELLS or "{0}" in shell:
            return
        if shell in _OTHER_SHELLS:
            self._unsupported(path, f"shell {shell!r} is not run here", f"use {', '.join(SHELLS)}")
        else:
            self._unsupported(
                path, f"unknown shell {shell!r}", f"use {', '.join(SHELLS)}, or a command with {{0}} for the script"
            )

    def _check_uses(self, uses: str, path: Path) -> None:
        if uses.startswith("docker://"):
            self._unsupported(path, "container actions are not run", "use a built-in or a local composite action")
            return
        if uses.startswith(("./", ".\\")) or uses == ".":
            return
        name, _, version = uses.partition("@")
        parts = name.split("/")
        if name.startswith(PLANE) and len(parts) == 2 and parts[1]:
            if self.plane_actions is not None and parts[1] not in self.plane_actions and name not in self.plane_actions:
                known = [action.removeprefix(PLANE) for action in self.plane_actions]
                self.reading.problem(path, f"no action {name!r}", suggestion(parts[1], sorted(known)))
            return
        if not version or "@" in version or len(parts) < 2 or not all(parts):
            way_out = "write owner/repository@ref, opsroom/NAME, or ./path of an action in this repository"
            self.reading.problem(path, f"'uses' is {uses!r}", way_out)
            return
        if name.lower() not in self.built_in_actions:
            way_out = f"built in are {', '.join(sorted(self.built_in_actions))}; a composite action can be copied into the repository"
            self._unsupported(
                path, f"action {name!r} is not built in, and actions are not fetched from elsewhere", way_out
            )

    def _unsupported(self, path: Path, message: str, way_out: str, *, key: bool = False) -> None:
        self.unsupported.append(Problem(self.reading.place(path, key=key), message, way_out))


def _generated_id(step: dict[str, Any], taken: Collection[str]) -> str:
    """`__run`, `__actions_checkout`, and with `_2`, `_3` where that is taken; such ids stay out of the `steps` context."""
    uses = step.get("uses")
    base = next((key for key in _WAITING[1:] if key in step), "run")
    if uses:
        base = "self" if uses.startswith(".") else uses.removeprefix("docker://").partition("@")[0]
    base = "__" + re.sub(r"[^A-Za-z0-9_-]", "_", base)
    number, name = 1, base
    while name.lower() in taken:
        number += 1
        name = f"{base}_{number}"
    return name
