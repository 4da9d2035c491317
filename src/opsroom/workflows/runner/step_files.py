"""The files one script may write to, GITHUB_ENV and its like: opened before it runs, and what stands in them afterwards."""

from __future__ import annotations

import os
from collections.abc import Mapping

from opsroom.kernel.errors import Invalid
from opsroom.workflows.runner import file_commands as files
from opsroom.workflows.runner.builtin import Effect
from opsroom.workflows.runner.environment import is_reserved
from opsroom.workflows.runner.layout import Layout
from opsroom.workflows.runner.output import StepOutput

COMMAND_FILE = "_runner_"
"""How the files of GITHUB_OUTPUT and its like begin, in the temp folder."""


class StepFiles:
    """New files under names that the job cannot have taken before. `variables` are what tells the script of them."""

    def __init__(self, layout: Layout, number: int) -> None:
        name = f"{COMMAND_FILE}{os.urandom(6).hex()}_{number}"
        self._paths = {key: layout.temp / f"{name}_{key}" for key in files.NAMES}
        self.variables = {files.VARIABLES[key]: layout.inside(path.name) for key, path in self._paths.items()}
        for path in self._paths.values():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644))

    def read(self, output: StepOutput) -> tuple[Effect, str]:
        """What the script wrote, with what it set by deprecated commands, and its summary; the files are gone afterwards.
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
                path.unlink(missing_ok=True)

    def _summary(self, output: StepOutput) -> str:
        try:
            return files.read_summary(self._paths["summary"])
        except files.SummaryTooLarge as error:
            output.annotate("error", str(error))
            return ""


def _allowed(pairs: Mapping[str, str], output: StepOutput) -> dict[str, str]:
    for name in pairs:
        if name in files.BLOCKED:
            raise Invalid(f"GITHUB_ENV: {name} may not be set for later steps; set it in the step's own env")
        if is_reserved(name):
            output.annotate("warning", f"GITHUB_ENV: {name} is set by the runner; the value given is passed over")
    return {name: value for name, value in pairs.items() if not is_reserved(name)}
