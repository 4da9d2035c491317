"""A workflow as a value: what the syntax says, checked and placed, before any expression is evaluated.

Source of the vocabulary: "Workflow syntax for GitHub Actions". Values that may hold `${{ }}` stay raw, with their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsroom.kernel.errors import Place, Problem

Raw = Any
"""A YAML value: None, bool, int, float, str, or lists and dicts (keys str) of them; its strings may hold `${{ }}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A raw value and where it stands."""

    raw: Raw
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """`defaults.run`: shell and working directory, raw."""

    shell: str | None = None
    working_directory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """`concurrency`: the group expression, and whether a newcomer cancels who runs."""

    group: str
    cancel_in_progress: Raw = False
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: exactly one of `run` and `uses` is set. `condition` is the `if` without `${{ }}` ("" : not given)."""

    id: str
    name: str = ""
    condition: str = ""
    run: str | None = None
    uses: str | None = None
    with_: Mapping[str, Raw] = field(default_factory=dict)
    env: Mapping[str, Raw] = field(default_factory=dict)
    shell: str | None = None
    working_directory: str | None = None
    continue_on_error: Raw = False
    timeout_minutes: Raw = None
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """`strategy`: `matrix` raw (a dict, or a string that is one expression), or None."""

    matrix: Raw = None
    fail_fast: Raw = True
    max_parallel: Raw = None
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job as written; a matrix makes several of it. `permissions` None: the workflow's."""

    id: str
    name: str = ""
    needs: tuple[str, ...] = ()
    condition: str = ""
    runs_on: Raw = "ubuntu-latest"
    env: Mapping[str, Raw] = field(default_factory=dict)
    defaults: Defaults = Defaults()
    outputs: Mapping[str, Raw] = field(default_factory=dict)
    permissions: Mapping[str, str] | None = None
    timeout_minutes: Raw = None
    continue_on_error: Raw = False
    strategy: Strategy = Strategy()
    concurrency: Concurrency | None = None
    environment: Raw = None
    steps: tuple[Step, ...] = ()
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A typed input of workflow_dispatch (`type`: string, boolean, choice, number or environment)."""

    name: str
    type: str = "string"
    description: str = ""
    required: bool = False
    default: Raw = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One event of `on`: filters as written; `cron` for schedule, `inputs` for workflow_dispatch, `types` for activity types.

    `timezones` has one IANA name for each `cron` ("" : not given); `workflows` are the names workflow_run follows."""

    event: str
    types: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    branches_ignore: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    tags_ignore: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    paths_ignore: tuple[str, ...] = ()
    cron: tuple[str, ...] = ()
    timezones: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One workflow file, valid. `permissions` None: not stated (then: contents read, nothing else).

    `unsupported` is what GitHub accepts and no runner here carries out; whoever runs the workflow refuses with it. A step among
    that may have neither `run` nor `uses`."""

    path: str
    name: str
    run_name: str = ""
    on: tuple[Trigger, ...]
    env: Mapping[str, Raw] = field(default_factory=dict)
    defaults: Defaults = Defaults()
    permissions: Mapping[str, str] | None = None
    concurrency: Concurrency | None = None
    jobs: Mapping[str, Job]
    unsupported: tuple[Problem, ...] = ()


def deadlock(group: str) -> str:
    """Why a job is cancelled that asks for the concurrency group its own run holds, and would wait for ever."""
    return (
        f"the run itself holds concurrency group {group}, so this job would wait for ever; give the job another group"
    )
