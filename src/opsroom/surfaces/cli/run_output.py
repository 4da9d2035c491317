"""What `opsroom run` shows while jobs run: one line for each line of output, with the job it came from."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from opsroom.workflows.local import JobReport
    from opsroom.workflows.model import Workflow

_SIGNS = {"success": "✓", "failure": "✗", "cancelled": "⊘", "skipped": "○"}
_COLOURS = {
    "success": "32",
    "failure": "31",
    "cancelled": "33",
    "skipped": "2",
    "error": "31",
    "warning": "33",
    "notice": "36",
    "job": "36",
}
_HEADED = {"error": "Error: ", "warning": "Warning: ", "notice": "Notice: ", "debug": "Debug: "}


class Printer:
    """Writes to `to`; in colour where that is a terminal. `quiet`: only the lines of jobs that went wrong by themselves."""

    def __init__(self, to: TextIO, *, quiet: bool = False) -> None:
        self._to = to
        self._quiet = quiet
        self._colour = to.isatty()
        self._lock = threading.Lock()

    def started(self, job: JobReport) -> _JobLines:
        return _JobLines(self, job.name)

    def finished(self, job: JobReport) -> None:
        error = f": {job.error}" if job.error else ""
        sign = self.paint(f"{_SIGNS.get(job.conclusion, '?')} {job.name}", job.conclusion)
        self.write(f"{sign} {job.conclusion} in {job.seconds:.2f} s{error}\n")

    def end(self, workflow: Workflow, conclusion: str, jobs: Sequence[JobReport]) -> None:
        """The last line of a run."""
        count = f"{len(jobs)} job{'s' if len(jobs) != 1 else ''}"
        cpu = sum(job.cpu_seconds for job in jobs)
        self.write(f"{self.paint(f'{workflow.name}: {conclusion}', conclusion)} ({count}, {cpu:.2f} CPU seconds)\n")
        if not self._quiet:
            self._to.flush()

    def write(self, text: str) -> None:
        if not self._quiet:
            with self._lock:
                self._to.write(text)
                if self._colour:
                    self._to.flush()

    def paint(self, text: str, what: str) -> str:
        return f"\033[{_COLOURS[what]}m{text}\033[0m" if self._colour and what in _COLOURS else text


class _JobLines:
    """The sink of one job."""

    def __init__(self, printer: Printer, name: str) -> None:
        self._printer = printer
        self._head = f"{printer.paint(name, 'job')} │ "

    def event(self, type: str, data: Mapping[str, Any]) -> None:
        if type == "step.started":
            self._printer.write(f"{self._head}▸ {data['name']}\n")

    def lines(self, step: int, texts: Iterable[str], stream: str = "out") -> None:
        if stream in ("group", "endgroup", "command"):
            return
        head = self._head + ("" if stream == "out" else self._printer.paint(_HEADED.get(stream, ""), stream))
        self._printer.write("".join(f"{head}{text}\n" for text in texts))
