"""Settings, declared once: name, type, default and help give the defaults, the environment names and the docs.

The only module that reads the environment. `OPSROOM_PORT=8601` sets `port`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from opsroom.kernel.errors import Invalid

PREFIX = "OPSROOM_"


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One frozen value per process. Every field is documented in docs/reference/settings.md (a test holds that)."""

    state: Path = _setting(Path("var"), "folder for everything Opsroom keeps: database, blobs, telemetry, spool")
    keys: Path = _setting(
        Path("var-keys"), "folder of the master key and signing keys; never inside `state` or a backup"
    )
    repo: str = _setting("", "the ops repo: a path or a Git URL")
    database: str = _setting("", "SQLAlchemy URL; empty: SQLite in `state`")
    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(8600, "port to listen on")
    durable: bool = _setting(False, "survive the loss of power too: fsync at every commit")
    poll_seconds: float = _setting(0.5, "how often watched Git repositories are looked at")
    job_slots: int = _setting(2, "how many jobs run at once on this machine")
    job_timeout_minutes: int = _setting(60, "limit of a job that states none")
    job_output_bytes: int = _setting(64_000_000, "limit of one step's log; what is over is cut, and said")
    step_retries: int = _setting(2, "how often a step cut off by a crash is started again")
    run_log_days: int = _setting(90, "how long logs of jobs are kept after their run finished; 0: for ever")
    artifact_days: int = _setting(
        90,
        "how long artefacts are kept; what runs, or ran in one of the last 10 versions of a place, stays; 0: for ever",
    )
    cache_days: int = _setting(7, "how long a workflow cache is kept that nobody uses; 0: for ever")
    unsandboxed: str = _setting("", "workflow paths an admin lets run without a sandbox, comma separated; `*`: all")
    telemetry_memory_mb: int = _setting(400, "memory cap of the telemetry process")
    telemetry_threads: int = _setting(2, "threads of the telemetry process")
    scrape_seconds: float = _setting(5.0, "default scrape interval")
    rule_seconds: float = _setting(5.0, "default interval at which rules are evaluated")
    request_bytes: int = _setting(8_000_000, "limit of an HTTP request's body")
    secret_env: str = _setting("", "environment variables that `env:NAME` references may read, comma separated")
    secret_files: str = _setting("", "folders that `file:PATH` references may read from, comma separated")
    git_ssh: str = _setting("ssh", "command by which Git reaches ssh:// repositories, with its options")
    outbound_allow: str = _setting("", "internal addresses user-supplied URLs may reach: CIDRs, comma separated")
    session_hours: int = _setting(12, "life of a browser session")
    token: str = _setting("", "token the command line sends; empty: the one in the keys folder")
    url: str = _setting("", "server the command line talks to; empty: http://host:port")

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{(self.state / 'opsroom.sqlite').absolute()}"

    @property
    def base_url(self) -> str:
        return self.url or f"http://{self.host}:{self.port}"


def load_settings(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Reads the environment, then `given` (None is "not given"). An unknown OPSROOM_ name or a bad value is Invalid."""
    source = os.environ if environment is None else environment
    known = {f.name: f for f in fields(Settings)}
    values: dict[str, Any] = {}
    for name, text in source.items():
        if not name.startswith(PREFIX):
            continue
        key = name.removeprefix(PREFIX).lower()
        if key not in known:
            raise Invalid(f"{name}={text!r} is no setting; the settings are {', '.join(sorted(known))}")
        values[key] = _convert(name, known[key].default, text)
    values.update({key: value for key, value in given.items() if value is not None})
    return Settings(**values)


def _convert(name: str, default: Any, text: str) -> Any:
    if isinstance(default, bool):
        if text.lower() not in {"0", "1", "true", "false", "yes", "no"}:
            raise Invalid(f"{name}={text!r} is not yes or no")
        return text.lower() in {"1", "true", "yes"}
    try:
        return type(default)(text) if not isinstance(default, Path) else Path(text)
    except ValueError:
        wanted = "whole number" if isinstance(default, int) else "number"
        raise Invalid(f"{name}={text!r} is no {wanted}; write one such as {default}") from None


def child_environment(*names: str) -> dict[str, str]:
    """The few variables a child process may inherit: PATH, HOME, LANG and those named here, where they are set."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TZ", *names) if name in os.environ}
