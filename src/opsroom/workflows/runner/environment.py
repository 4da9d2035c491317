"""The variables every step gets: GITHUB_* and RUNNER_* as GitHub documents them, CI, HOME, and of the server only PATH and LANG.

Source: "Variables reference" of the GitHub Actions documentation, default environment variables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from opsroom.workflows.runner.layout import Layout

EVENT_FILE = "event.json"
_FROM_CONTEXT = {
    "GITHUB_ACTOR": "actor",
    "GITHUB_ACTOR_ID": "actor_id",
    "GITHUB_API_URL": "api_url",
    "GITHUB_BASE_REF": "base_ref",
    "GITHUB_EVENT_NAME": "event_name",
    "GITHUB_GRAPHQL_URL": "graphql_url",
    "GITHUB_HEAD_REF": "head_ref",
    "GITHUB_JOB": "job",
    "GITHUB_REF": "ref",
    "GITHUB_REF_NAME": "ref_name",
    "GITHUB_REF_PROTECTED": "ref_protected",
    "GITHUB_REF_TYPE": "ref_type",
    "GITHUB_REPOSITORY": "repository",
    "GITHUB_REPOSITORY_ID": "repository_id",
    "GITHUB_REPOSITORY_OWNER": "repository_owner",
    "GITHUB_REPOSITORY_OWNER_ID": "repository_owner_id",
    "GITHUB_RETENTION_DAYS": "retention_days",
    "GITHUB_RUN_ATTEMPT": "run_attempt",
    "GITHUB_RUN_ID": "run_id",
    "GITHUB_RUN_NUMBER": "run_number",
    "GITHUB_SERVER_URL": "server_url",
    "GITHUB_SHA": "sha",
    "GITHUB_TRIGGERING_ACTOR": "triggering_actor",
    "GITHUB_WORKFLOW": "workflow",
    "GITHUB_WORKFLOW_REF": "workflow_ref",
    "GITHUB_WORKFLOW_SHA": "workflow_sha",
}
_ARCHITECTURES = {"x86_64": "X64", "i686": "X86", "armv7l": "ARM", "aarch64": "ARM64"}
RESERVED = ("GITHUB_", "RUNNER_")
"""Variables with these beginnings are the runner's: a job's own value for one of them is passed over."""


def runner_context(layout: Layout, *, debug: bool) -> dict[str, Any]:
    """The `runner` context."""
    machine = os.uname()
    return {
        "name": machine.nodename,
        "os": "Linux",
        "arch": _ARCHITECTURES.get(machine.machine, machine.machine.upper()),
        "temp": layout.inside_temp,
        "tool_cache": f"{layout.inside_home}/.tools",
        "workspace": layout.inside_workspace,
        "debug": "1" if debug else "",
        "environment": "self-hosted",
    }


def default_variables(
    github: Mapping[str, Any], runner: Mapping[str, Any], layout: Layout, inherited: Mapping[str, str]
) -> dict[str, str]:
    """What a step finds in its environment before any `env` of the workflow. `inherited`: PATH and LANG are taken from it."""
    variables = {name: inherited[name] for name in ("LANG", "LC_ALL", "TZ") if name in inherited}
    variables |= {"CI": "true", "HOME": layout.inside_home, "GITHUB_ACTIONS": "true"}
    for name, key in _FROM_CONTEXT.items():
        value = github.get(key, "")
        variables[name] = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    variables["GITHUB_WORKSPACE"] = layout.inside_workspace
    variables["GITHUB_EVENT_PATH"] = layout.inside(EVENT_FILE)
    for key in ("name", "os", "arch", "temp", "tool_cache", "environment"):
        variables[f"RUNNER_{key.upper()}"] = str(runner[key])
    if runner["debug"]:
        variables["RUNNER_DEBUG"] = "1"
    return variables


def is_reserved(name: str) -> bool:
    """Whether the runner alone sets this variable."""
    return name.startswith(RESERVED)
