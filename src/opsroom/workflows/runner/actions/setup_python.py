"""actions/setup-python: a Python of this machine put on the job's PATH; nothing is downloaded."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opsroom.kernel.settings import child_environment
from opsroom.workflows.runner.beneath import Folder
from opsroom.workflows.runner.builtin import ActionFailed, Effect, Use
from opsroom.workflows.sandbox import interpreter_prefixes

_FOLDERS = ("/usr/local/bin", "/usr/bin")
_NAME = re.compile(r"python3\.\d+")
_TERM = re.compile(r"(==|>=|<=|!=|~=|~|\^|>|<|=)?\s*v?(\d+(?:\.(?:\d+|x|\*))*)")
Version = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python found here: the file, and its version."""

    path: Path
    version: Version

    @property
    def text(self) -> str:
        return ".".join(map(str, self.version))


def setup_python(use: Use) -> Effect:
    """Puts the newest interpreter that `python-version` allows first on PATH; outputs python-version and python-path."""
    wish = _wish(use)
    there = sorted(interpreters(), key=lambda one: one.version, reverse=True)
    found = next((one for one in there if any(fits(line, one.version) for line in wish)), None)
    if found is None:
        listed = ", ".join(one.text for one in there) or "none"
        raise ActionFailed(
            f"no Python {' or '.join(wish)} on this machine; there are {listed}: choose one, or install it with pyenv"
        )
    folder = f"{use.layout.inside_home}/.tools/python/{found.text}/bin"
    with Folder(use.layout.home) as home:
        for name in ("python", "python3", f"python3.{found.version[1]}"):
            home.link(f".tools/python/{found.text}/bin/{name}", str(found.path), anywhere=True)
    prefix = found.path.parent.parent
    own = str(prefix) in ("/usr", "/usr/local")
    use.output.write(f"Python {found.text}: {found.path}")
    location = {name: str(prefix) for name in ("pythonLocation", "Python_ROOT_DIR", "Python3_ROOT_DIR")}
    # A distribution's pip refuses to install beside its packages; here it would write to the job's own home.
    pip = {"PIP_BREAK_SYSTEM_PACKAGES": "1"} if own else {}
    outputs = {"python-version": found.text, "python-path": f"{folder}/python", "cache-hit": "false"}
    if not use.flag("update-environment", default=True):
        return Effect(outputs=outputs)
    return Effect(
        outputs=outputs,
        env={**location, **pip},
        path=(f"{use.layout.inside_home}/.local/bin", *(() if own else (str(found.path.parent),)), folder),
    )


def interpreters() -> Iterator[Interpreter]:
    """Every Python 3 of this machine that a job can see."""
    seen: set[Path] = set()
    for path in _candidates():
        real = path.resolve()
        if real in seen or not real.is_file():
            continue
        seen.add(real)
        version = _version(path)
        if version:
            yield Interpreter(path=path, version=version)


def fits(wish: str, version: Version) -> bool:
    """Whether a version fits one wish: `3.11`, `3.x`, `3.11.7`, `>=3.9 <3.12`, `~3.10`. ActionFailed: it cannot be read."""
    text = wish.replace(",", " ").strip()
    terms = _TERM.findall(text)
    if not terms or _TERM.sub("", text).strip():
        raise ActionFailed(f"python-version {wish!r} cannot be read; write 3.11, 3.x, 3.11.7 or >=3.9 <3.12")
    return all(_term(operator, number, version) for operator, number in terms)


def _term(operator: str, number: str, version: Version) -> bool:
    parts = [part for part in number.split(".") if part not in ("x", "*")]
    given = tuple(map(int, parts))
    head = version[: len(given)]
    if operator in ("", "=", "=="):
        return head == given
    if operator == "!=":
        return head != given
    if operator in ("~", "~=", "^"):
        keep = 1 if operator == "^" else max(1, len(given) - 1 if operator == "~=" else min(2, len(given)))
        return version[:keep] == given[:keep] and version >= given
    return {">=": version >= given, "<=": head <= given, ">": head > given, "<": version < given}[operator]


def _wish(use: Use) -> list[str]:
    """The versions asked for, best first."""
    lines = [line.strip() for line in use.input("python-version").splitlines() if line.strip()]
    if lines:
        return lines
    name = use.input("python-version-file", ".python-version")
    with Folder(use.layout.workspace) as workspace:
        entry = workspace.entry(name)
        if entry is None or entry.kind != "file":
            if use.input("python-version-file"):
                raise ActionFailed(
                    f"python-version-file {name!r} is not in the workspace; check the path, or run actions/checkout first"
                )
            return ["3.x"]
        with workspace.open(name) as file:
            text = file.read(100_000).decode("utf-8", "replace")
    if name.endswith(".toml"):
        found = re.search(r"""(?m)^\s*(?:requires-python|python)\s*=\s*["']([^"']+)["']""", text)
        return [found[1]] if found else ["3.x"]
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")][:1] or ["3.x"]


def _candidates() -> Iterator[Path]:
    base = Path(sys.base_prefix).resolve() / "bin"
    yield base / f"python3.{sys.version_info.minor}"
    for prefix in interpreter_prefixes():
        yield from sorted(Path(prefix).glob("*/bin/python3"))
    for folder in _FOLDERS:
        yield from sorted(path for path in Path(folder).glob("python3.*") if _NAME.fullmatch(path.name))


def _version(path: Path) -> Version:
    code = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    try:
        done = subprocess.run(
            [str(path), "-I", "-S", "-c", code],
            env=child_environment(),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(map(int, done.stdout.strip().split("."))) if done.returncode == 0 and done.stdout.strip() else ()
