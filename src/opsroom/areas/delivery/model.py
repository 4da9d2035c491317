"""What delivery speaks of: a deployment, its states and processes; an artefact; a report of tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Strategy = Literal["recreate", "rolling", "blue-green"]
DeploymentState = Literal["starting", "switched", "finished", "failed"]
InstanceState = Literal["starting", "serving", "draining", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """How a service runs in an environment, as the ops repo says. Times in seconds; `env` values may name secrets."""

    address: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    instances: int = 1
    strategy: Strategy = "recreate"
    health_path: str = "/health"
    health_timeout: float = 15.0
    drain: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A deployment that is asked for. `key` makes asking twice one deployment. `commit` is that of the artefact."""

    service: str
    environment: str
    digest: str
    version: str
    commit: str
    kind: Literal["deploy", "rollback"]
    strategy: Strategy
    spec: ServiceSpec
    configuration_commit: str
    actor: str
    cause: str
    key: str
    run: str = ""
    incident: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment as recorded. `previous` is the deployment that ran before; the events are ids in the ledger."""

    id: str
    key: str
    service: str
    environment: str
    digest: str
    version: str
    commit: str
    strategy: Strategy
    kind: Literal["deploy", "rollback"]
    run: str
    actor: str
    state: DeploymentState
    error: str
    previous: str
    previous_digest: str
    configuration_commit: str
    url: str
    incident: str
    spec: Mapping[str, Any]
    created: datetime
    switched: datetime | None
    finished: datetime | None
    started_event: str
    finished_event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One process of a deployment. `port` is on 127.0.0.1; `log` is the file of its output; `started` when it was last started."""

    id: str
    deployment: str
    service: str
    environment: str
    number: int
    port: int
    state: InstanceState
    restarts: int
    started: datetime
    log: str

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One publication of a digest by a run. `sbom` and `provenance` are digests of blobs; `event` is its artifact.published."""

    id: str
    key: str
    digest: str
    name: str
    service: str
    version: str
    commit: str
    repository: str
    run: str
    size: int
    sbom: str
    provenance: str
    created: datetime
    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReport:
    """What one step reported of its tests. Each failure has suite, name, message, text, file and line."""

    id: str
    key: str
    run: str
    job: str
    repository: str
    commit: str
    service: str
    tests: int
    failed: int
    skipped: int
    seconds: float
    failures: Sequence[Mapping[str, Any]]
    created: datetime
    event: str
