"""What the job's shell is given for a step: the environment, the folder, the script's file and the command that runs it.

Source of the commands: "Workflow syntax for GitHub Actions", `jobs.<job_id>.steps[*].shell`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from opsroom.kernel.errors import Invalid
from opsroom.workflows.runner.processes import MARKER

_TEMPLATES = {
    "bash": "bash --noprofile --norc -eo pipefail {0}",
    "sh": "sh -e {0}",
    "python": "python {0}",
}
_SUFFIXES = {"python": ".py", "pwsh": ".ps1", "node": ".js"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One `run`: its text, the `shell` as written ("" : not given), its folder and environment, and the marker of its processes."""

    text: str
    shell: str
    folder: str
    environment: Mapping[str, str]
    path: str
    marker: str


def shell_command(shell: str) -> tuple[str, ...]:
    """The words that run a script, `{0}` standing for its file. Invalid: no known shell and no template."""
    if not shell:
        return ("bash", "-e", "{0}")
    template = _TEMPLATES.get(shell, shell)
    if "{0}" not in template:
        raise Invalid(
            f"shell {shell!r} is not run here; use {', '.join(_TEMPLATES)}, or a command with {{0}} for the script"
        )
    try:
        return tuple(shlex.split(template))
    except ValueError as error:
        raise Invalid(f"shell {shell!r} cannot be read: {error}; check its quotes") from None


def suffix(shell: str) -> str:
    """The ending of the script's file."""
    return _SUFFIXES.get(shell.split()[0] if shell else "", ".sh")


def source(script: Script) -> str:
    """The text that the job's shell carries out for this script. Invalid: a NUL byte, which no process can be given."""
    words = [word.replace("{0}", script.path) for word in shell_command(script.shell)]
    environment = {**script.environment, MARKER: script.marker}
    if "\0" in script.text or any("\0" in key + value for key, value in environment.items()):
        raise Invalid("the script or its environment holds a NUL byte; remove it")
    plain = [f"export {key}={_quoted(value)}" for key, value in environment.items() if _NAME.fullmatch(key)]
    odd = [
        f"{key}={value}" for key, value in environment.items() if not _NAME.fullmatch(key) and key and "=" not in key
    ]
    body = script.text if script.text.endswith("\n") else f"{script.text}\n"
    command = ["env", *odd, *words] if odd else words
    return "\n".join(
        [
            "exec </dev/null 3>&- 4<&-",
            *plain,
            f"printf %s {_quoted(body)} >{_quoted(script.path)} || exit 125",
            f"cd {_quoted(script.folder)} 2>/dev/null || {{ echo {_quoted(_no_folder(script))}; exit 125; }}",
            *_instead(script),
            f"exec {' '.join(map(_quoted, command))}",
            "",
        ]
    )


def _no_folder(script: Script) -> str:
    return f"working-directory {script.folder!r} is not there; make it in an earlier step, or check the path"


def _instead(script: Script) -> list[str]:
    """What takes the place of a default that is not installed: sh for bash, as at GitHub, and python3 for python."""
    path = _quoted(script.path)
    if not script.shell:
        return [f"command -v bash >/dev/null || exec sh -e {path}"]
    if script.shell == "python":
        return [f"command -v python >/dev/null || exec python3 {path}"]
    return []


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
