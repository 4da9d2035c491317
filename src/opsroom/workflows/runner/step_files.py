"""The files one script may write to, GITHUB_ENV and its like: opened before it runs, and what stands in them afterwards."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
from collections.abc import Mapping
from pathlib import Path

from opsroom.kernel.errors import Invalid
from opsroom.workflows.runner import file_commands as files
from opsroom.workflows.runner.builtin import Effect
from opsroom.workflows.runner.environment import is_reserved
from opsroom.workflows.runner.layout import Layout
from opsroom.workflows.runner.output import StepOutput

COMMAND_FILE = "_runner_"
"""How the files of GITHUB_OUTPUT and its like begin, in the temp folder."""
_MODE = 0o644


class SpareFiles:
    """Files that scripts left as they found them, for the next ones: where many files were deleted shortly before, ext4 takes longer
    to make five new ones than a short step takes.

    The kernel says whether a process still has one open, by refusing the lease; then it is left alone. A lease that is broken raises
    SIGIO, so without `ready()` in the process's main thread no file is taken twice.
    """

    def __init__(self) -> None:
        self._paths: list[Path] = []

    @staticmethod
    def ready() -> None:
        """Lets files be taken twice in this process. In its main thread."""
        signal.signal(signal.SIGIO, signal.SIG_IGN)

    def give(self, path: Path) -> None:
        """Keeps a file that is as it was made; what was written may be a secret, so any other is removed at once. A folder that the job
        put in its place goes with the temp folder."""
        try:
            found = path.lstat()
        except FileNotFoundError:
            return
        if _untouched(found):
            self._paths.append(path)
        elif not stat.S_ISDIR(found.st_mode):
            path.unlink(missing_ok=True)

    def take(self, path: Path) -> None:
        """Makes an empty file at `path`, where there is none."""
        while self._paths:
            if _moved(self._paths.pop(), path):
                return
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE))


class StepFiles:
    """Empty files under names that the job cannot have taken before. `variables` are what tells the script of them."""

    def __init__(self, layout: Layout, spare: SpareFiles, number: int) -> None:
        name = f"{COMMAND_FILE}{os.urandom(6).hex()}_{number}"
        self._paths = {key: layout.temp / f"{name}_{key}" for key in files.NAMES}
        self.variables = {files.VARIABLES[key]: layout.inside(path.name) for key, path in self._paths.items()}
        self._spare = spare
        for path in self._paths.values():
            spare.take(path)

    def read(self, output: StepOutput) -> tuple[Effect, str]:
        """What the script wrote, with what it set by deprecated commands, and its summary; the files may be another script's afterwards.
        Invalid: one breaks its format. A summary that is too large is passed over with an error in the log, as at GitHub."""
        paths = self._paths
        try:
            effect = Effect(
                outputs={**output.outputs, **files.read_pairs(paths["output"], "GITHUB_OUTPUT")},
                env=_allowed(files.read_pairs(paths["env"], "GITHUB_ENV"), output),
                path=files.read_paths(paths["path"]),
                state={**output.state, **files.read_pairs(paths["state"], "GITHUB_STATE")},
            )
            return effect, self._summary(output)
        finally:
            for path in paths.values():
                self._spare.give(path)

    def _summary(self, output: StepOutput) -> str:
        try:
            return files.read_summary(self._paths["summary"])
        except files.SummaryTooLarge as error:
            output.annotate("error", str(error))
            return ""


def _moved(old: Path, new: Path) -> bool:
    """Moves a file that nobody has written to since, and that nobody has open; any other is removed."""
    if signal.getsignal(signal.SIGIO) is signal.SIG_IGN:
        try:
            descriptor = os.open(old, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
                if _untouched(os.fstat(descriptor)):
                    old.rename(new)
                    return True
            finally:
                os.close(descriptor)
        except OSError:
            pass  # Still open elsewhere, or the job removed it, replaced it, or took the right to open it.
    if not old.is_dir():
        old.unlink(missing_ok=True)
    return False


def _untouched(found: os.stat_result) -> bool:
    return found.st_mode == stat.S_IFREG | _MODE and found.st_nlink == 1 and found.st_size == 0


def _allowed(pairs: Mapping[str, str], output: StepOutput) -> dict[str, str]:
    for name in pairs:
        if name in files.BLOCKED:
            raise Invalid(f"GITHUB_ENV: {name} may not be set for later steps; set it in the step's own env")
        if is_reserved(name):
            output.annotate("warning", f"GITHUB_ENV: {name} is set by the runner; the value given is passed over")
    return {name: value for name, value in pairs.items() if not is_reserved(name)}
