"""Reads jobs: ids, what they need, their matrix, and their steps."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from opsroom.kernel.documents import Path
from opsroom.kernel.errors import Problem
from opsroom.workflows.model import Job, Strategy
from opsroom.workflows.syntax.parts import read_concurrency, read_defaults, read_permissions
from opsroom.workflows.syntax.shapes import INSERT, Reading, suggestion
from opsroom.workflows.syntax.steps import StepReader, is_identifier

MAX_MATRIX = 256
OTHER_SYSTEMS = ("windows", "macos")
"""How the labels of machines begin that are no runners here."""
_CALLED = re.compile(r"(\./|[^/@]+/[^/@]+/)\.github/workflows/[^/@]+\.ya?ml(@.+)?")


class JobReader:
    """Reads the jobs of one file."""

    def __init__(
        self,
        reading: Reading,
        scopes: tuple[str, ...],
        unsupported: list[Problem],
        built_in_actions: Collection[str],
        plane_actions: Collection[str] | None,
    ) -> None:
        self.reading = reading
        self.scopes = scopes
        self.unsupported = unsupported
        self.steps = StepReader(reading, unsupported, built_in_actions, plane_actions)

    def read_all(self, value: dict[str, Any]) -> dict[str, Job]:
        """The jobs of a shaped `jobs`, by id; needs are checked over all of them."""
        needs = self._needs(value)
        jobs = {}
        for name, given in value.items():
            if not is_identifier(name):
                way_out = "use letters, digits, '-' and '_'; start with a letter or '_'; at most 99 characters"
                self.reading.problem(("jobs", name), f"job id {name!r} is not valid", way_out, key=True)
            if isinstance(given, dict):
                jobs[name] = self._job(name, given, needs.get(name, ()))
        return jobs

    def _needs(self, value: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        known = {name.lower(): name for name in value}
        graph: dict[str, tuple[str, ...]] = {}
        for name, given in value.items():
            wanted = given.get("needs") if isinstance(given, dict) else None
            found = []
            for index, need in enumerate(wanted or ()):
                listed = isinstance(self.reading.node.value["jobs"][name]["needs"], list)
                path: Path = ("jobs", name, "needs", index) if listed else ("jobs", name, "needs")
                if need and need.lower() not in known:
                    self.reading.problem(
                        path,
                        f"job {name!r} needs the unknown job {need!r}",
                        suggestion(need, [k for k in value if k != name]),
                    )
                elif need and known[need.lower()] not in found:
                    found.append(known[need.lower()])
            graph[name] = tuple(found)
        self._cycles(graph)
        return graph

    def _cycles(self, graph: dict[str, tuple[str, ...]]) -> None:
        """A topological sort; what is left over is on a cycle, or waits for one. One problem for each cycle."""
        left = {name: set(needs) for name, needs in graph.items()}
        ready = [name for name, needs in left.items() if not needs]
        some_start = bool(ready)
        users: dict[str, list[str]] = {name: [] for name in graph}
        for name, needs in graph.items():
            for need in needs:
                users[need].append(name)
        while ready:
            done = ready.pop()
            del left[done]
            for user in users[done]:
                left[user].discard(done)
                if not left[user]:
                    ready.append(user)
        while left:
            cycle = [next(iter(left))]
            while (following := min(need for need in left[cycle[-1]] if need in left)) not in cycle:
                cycle.append(following)
            cycle = cycle[cycle.index(following) :]
            chain = " → ".join([*cycle, cycle[0]])
            place: Path = ("jobs", cycle[0], "needs") if some_start else ("jobs",)
            self.reading.problem(place, f"these jobs need each other: {chain}", "take one of the needs away")
            left = _without_waiting(left, cycle)

    def _job(self, name: str, given: dict[str, Any], needs: tuple[str, ...]) -> Job:
        path: Path = ("jobs", name)
        node = self.reading.node
        self._unsupported_keys(given, path)
        defaults = read_defaults(given.get("defaults"))
        self.steps.check_shell(defaults.shell, (*path, "defaults", "run", "shell"))
        return Job(
            id=name,
            name=given.get("name") or "",
            needs=needs,
            condition=self.steps.condition(given.get("if"), (*path, "if")),
            runs_on=node.value["jobs"][name].get("runs-on", "ubuntu-latest"),
            env=given.get("env") or {},
            defaults=defaults,
            outputs=given.get("outputs") or {},
            permissions=read_permissions(given["permissions"], self.scopes) if "permissions" in given else None,
            timeout_minutes=given.get("timeout-minutes"),
            continue_on_error=given.get("continue-on-error") or False,
            strategy=self._strategy(given.get("strategy"), (*path, "strategy")),
            concurrency=read_concurrency(node, given.get("concurrency"), (*path, "concurrency"), self.unsupported),
            environment=given.get("environment"),
            steps=self.steps.read_all(given.get("steps"), (*path, "steps")),
            place=node.key_place(path),
        )

    def _unsupported_keys(self, given: dict[str, Any], path: Path) -> None:
        uses = given.get("uses")
        if isinstance(uses, str) and uses:
            if not _CALLED.fullmatch(uses) or ("@" in uses) == uses.startswith("./"):
                way_out = "write ./.github/workflows/FILE.yml or owner/repository/.github/workflows/FILE.yml@ref"
                self.reading.problem((*path, "uses"), f"'uses' is {uses!r}", way_out)
            self._unsupported(
                (*path, "uses"),
                "calling a workflow from a job is not run yet",
                "copy its jobs, or make its steps a local composite action",
            )
        for key, word in (
            ("container", "containers"),
            ("services", "service containers"),
            ("snapshot", "image snapshots"),
        ):
            if given.get(key):
                self._unsupported(
                    (*path, key), f"{word} are not run: jobs run in a sandbox on the runner itself", f"remove '{key}:'"
                )

        self._other_systems(given.get("runs-on"), path)

    def _other_systems(self, runs_on: Any, path: Path) -> None:
        labels = runs_on.get("labels") if isinstance(runs_on, dict) else runs_on
        for label in labels if isinstance(labels, list) else [labels]:
            if isinstance(label, str) and label.lower().startswith(OTHER_SYSTEMS):
                message = f"runs-on {label!r}: runners here are Linux machines"
                self._unsupported((*path, "runs-on"), message, "use ubuntu-latest")

    def _strategy(self, given: Any, path: Path) -> Strategy:
        if not isinstance(given, dict):
            return Strategy()
        if INSERT in given:
            self._unsupported(
                path, "a whole strategy from an expression is not run yet", "write 'matrix: ${{ … }}' instead"
            )
        matrix = given.get("matrix")
        if isinstance(matrix, dict) and set(matrix) == {INSERT}:
            matrix = matrix[INSERT]
        elif isinstance(matrix, dict):
            self._check_matrix(matrix, (*path, "matrix"))
        return Strategy(
            matrix=matrix,
            fail_fast=given.get("fail-fast") if given.get("fail-fast") is not None else True,
            max_parallel=given.get("max-parallel"),
            place=self.reading.place(path),
        )

    def _check_matrix(self, matrix: dict[str, Any], path: Path) -> None:
        vectors = {key: values for key, values in matrix.items() if key not in {"include", "exclude"}}
        if not vectors and not matrix.get("include"):
            self.reading.problem(
                path, "the matrix has no values", "add a list, such as 'version: [1, 2]', or 'include:'"
            )
        size = 1
        for key, values in vectors.items():
            if isinstance(values, list):
                size *= len(values)
                if not values:
                    self.reading.problem((*path, key), f"matrix list {key!r} is empty", "give it at least one value")
        if size > MAX_MATRIX and not matrix.get("exclude"):
            self.reading.problem(
                path, f"the matrix makes {size:,} jobs; the limit is {MAX_MATRIX}", "use shorter lists"
            )

    def _unsupported(self, path: Path, message: str, way_out: str) -> None:
        self.unsupported.append(Problem(self.reading.place(path, key=True), message, way_out))


def _without_waiting(left: dict[str, set[str]], cycle: list[str]) -> dict[str, set[str]]:
    """What remains when a cycle and all that waits for it, directly or not, is taken out."""
    gone = set(cycle)
    while more := {name for name, needs in left.items() if name not in gone and needs & gone}:
        gone |= more
    return {name: needs for name, needs in left.items() if name not in gone}
