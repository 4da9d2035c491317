"""Workflow files read for running: the value, or all their problems at once; the same text is read once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from threading import Lock

from opsroom.kernel.errors import Problems
from opsroom.workflows.model import Workflow
from opsroom.workflows.syntax import read_workflow

KEPT = 200


class WorkflowFiles:
    """`plane_actions` are the names that may follow `uses: opsroom/` (None: any); `extra_scopes` permission scopes beside GitHub's."""

    def __init__(self, *, plane_actions: Collection[str] | None = None, extra_scopes: Collection[str] = ()) -> None:
        self._plane_actions = plane_actions
        self._extra_scopes = extra_scopes
        self._known: OrderedDict[tuple[str, str], Workflow] = OrderedDict()
        self._lock = Lock()

    def read(self, text: str, path: str) -> Workflow:
        """Problems: the file is malformed, each problem with its place."""
        with self._lock:
            if (path, text) in self._known:
                self._known.move_to_end((path, text))
                return self._known[path, text]
        workflow, problems = read_workflow(
            text, path, extra_scopes=self._extra_scopes, plane_actions=self._plane_actions, all_told=True
        )
        if workflow is None:
            raise Problems(problems)
        with self._lock:
            self._known[path, text] = workflow
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return workflow
