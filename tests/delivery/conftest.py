"""A plane with delivery alone: a real store, real Git, real processes, and a shop of one tiny service."""

from __future__ import annotations

import io
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from opsroom.app.plane import build_plane
from opsroom.areas.delivery import AREA, artifact_store, provenance, signing
from opsroom.areas.delivery.model import Artifact
from opsroom.areas.delivery.running import deployer
from opsroom.contracts.plane import Call, Plane
from opsroom.kernel.actors import Actor
from opsroom.kernel.ledger import Event
from opsroom.kernel.resources import load_catalog
from opsroom.kernel.settings import Settings
from opsroom.workflows.views import Run

SERVICE = Path(__file__).with_name("tiny_service.py").read_text()
COMPONENT = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: {name}
  annotations: {{opsroom.dev/repository: ../{name}, opsroom.dev/network: "pypi.org, files.example"}}
spec: {{type: service, lifecycle: production, owner: group:shop}}
"""
GROUP = """\
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: shop}
spec: {type: team, children: []}
---
apiVersion: backstage.io/v1alpha1
kind: User
metadata: {name: maria}
spec: {profile: {email: maria@example.com}, memberOf: [shop]}
"""


@dataclass
class Shop:
    """A plane and what its team does: publish artefacts, say how they run, look at what happened."""

    plane: Plane
    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    ops: dict[str, str] = field(default_factory=dict)

    @property
    def call(self) -> Call:
        return Call(plane=self.plane, actor=Actor.system("test"))

    def decide(self, files: Mapping[str, str], commit: str = "0" * 40) -> None:
        """Puts these files of the ops repo in force."""
        self.ops = {**self.ops, **files}
        catalog, problems = load_catalog(self.ops, commit, AREA.kinds)
        assert not problems, [str(one) for one in problems]
        self.plane.catalogs.offer(commit, catalog, [])

    def environment(
        self, service: str = "tiny", *, strategy: str = "blue-green", instances: int = 1, **more: str
    ) -> str:
        """One environment `production` with one service; its address."""
        port = self.ports.setdefault(service, free_port())
        extra = "".join(f"\n      {key}: {value}" for key, value in more.items())
        self.decide({
            "catalog-info.yaml": COMPONENT.format(name=service) + "---\n" + GROUP,
            "opsroom/environments.yaml": f"""\
apiVersion: opsroom.dev/v1
kind: Environment
metadata: {{name: production}}
spec:
  tier: production
  strategy: {strategy}
  services:
    - service: {service}
      address: 127.0.0.1:{port}
      command: [python3, service.py]
      instances: {instances}
      drain: 3s{extra}
""",
        })  # fmt: skip
        return f"127.0.0.1:{port}"

    def artifact(self, version: str, *, service: str = "tiny", broken: str = "") -> str:
        """Publishes the tiny service as a version (12 characters); `broken` is how it misbehaves. Its digest."""
        digest = self.plane.blobs.put(packed(self.files(version, broken)))
        return self.publish(digest, version, service=service)

    def files(self, version: str, broken: str = "") -> dict[str, str]:
        """The tiny service as it stands in an artefact."""
        return {"service.py": SERVICE, "version": version, "broken": broken}

    def publish(self, digest: str, version: str, *, service: str = "tiny") -> str:
        plane, commit = self.plane, version.ljust(40, "0")
        run = cast(Run, _FakeRun(commit=commit, id=f"run_{version}"))
        statement = provenance.statement_of(plane, run, name=service, digest=digest, sbom="", now=plane.clock.now())
        envelope = plane.blobs.put(signing.sign(plane.settings.keys, statement))
        with plane.store.begin() as tx:
            pushed = plane.ledger.record(
                tx, "change.pushed", actor="person:maria", subjects=[f"commit:{commit}"], key=f"push:{commit}"
            )
            event = plane.ledger.record(
                tx,
                "artifact.published",
                actor="system:test",
                cause=pushed.id,
                subjects=[f"digest:{digest}", f"commit:{commit}"],
            )
            artifact_store.add(tx, Artifact(
                id=plane.clock.new_id("art"), key=plane.clock.new_id("key"), digest=digest, name=service, service=service,
                version=version, commit=commit, repository=service, run=run.id, size=plane.blobs.size(digest), sbom="",
                provenance=envelope, created=plane.clock.now(), event=event.id,
            ))  # fmt: skip
        return digest

    def events(self, *types: str) -> list[Event]:
        return self.plane.ledger.find(types=types, limit=500, newest_first=False)

    def processes(self) -> list[str]:
        """Ids of the instances whose processes run on this machine."""
        marker, state = b"OPSROOM_INSTANCE=", f"DATA_DIR={self.plane.settings.state.absolute()}/".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                environment = entry.read_bytes().split(b"\0")
            except OSError:
                continue
            if any(one.startswith(state) for one in environment):
                found += [one.removeprefix(marker).decode() for one in environment if one.startswith(marker)]
        return sorted(found)


@dataclass(frozen=True)
class _FakeRun:
    commit: str
    id: str
    repository: str = "tiny"
    ref: str = "refs/heads/main"
    workflow: str = ".opsroom/workflows/pipeline.yml"
    event: str = "push"
    actor: str = "person:maria"
    number: int = 1
    attempt: int = 1
    trigger: str = ""
    started: Any = None

    @property
    def created(self) -> Any:
        from datetime import UTC, datetime

        return datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def make_plane(tmp_path: Path) -> Iterator[Callable[..., Plane]]:
    """Builds planes on one state folder, as a server and its successor do; at the end everything they deployed is ended."""
    made: list[Plane] = []

    def make(**settings: Any) -> Plane:
        given = {
            "state": tmp_path / "state",
            "keys": tmp_path / "keys",
            "repo": str(tmp_path / "git" / "ops.git"),
            **settings,
        }
        plane = build_plane(Settings(**given), [AREA], telemetry=lambda *_: cast(Any, None))
        plane.journal._out = io.StringIO()
        made.append(plane)
        return plane

    yield make
    for plane in made:
        plane.engine.stop()
    if made:
        end_all(made[0])
    for plane in made:
        plane.store.close()


@pytest.fixture
def make_shop(make_plane: Callable[..., Plane], tmp_path: Path) -> Callable[..., Shop]:
    """A shop on a plane with settings of its own."""
    return lambda **settings: Shop(make_plane(**settings), tmp_path)


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    return make_shop()


def end_all(plane: Plane) -> None:
    from opsroom.areas.delivery.ending import end_services

    end_services(plane.settings)
    deployer(plane).proxy.stop()


def packed(files: Mapping[str, str]) -> bytes:
    """A tar file of these files; the same ones give the same bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Git:
    """Bare repositories under a folder, and pushes into them from work trees."""

    folder: Path

    def create(self, name: str) -> Path:
        bare, work = self.folder / f"{name}.git", self.folder / f"{name}-work"
        bare.mkdir(parents=True)
        self.run(bare, "init", "--quiet", "--bare", "--initial-branch=main")
        work.mkdir()
        self.run(work, "init", "--quiet", "--initial-branch=main")
        self.run(work, "remote", "add", "origin", str(bare))
        return bare

    def push(self, name: str, files: Mapping[str, str], message: str = "a change", *, branch: str = "main") -> str:
        work = self.folder / f"{name}-work"
        for path, text in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        self.run(work, "add", "--all")
        self.run(work, "commit", "--quiet", "--allow-empty", "-m", message)
        self.run(work, "push", "--quiet", "origin", f"HEAD:{branch}")
        return self.run(work, "rev-parse", "HEAD").strip()

    def run(self, folder: Path, *arguments: str) -> str:
        who = ["-c", "user.name=Maria Keller", "-c", "user.email=maria@example.com", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path / "git")


@pytest.fixture(scope="session", autouse=True)
def _short_temp() -> Iterator[None]:
    """Caddy's socket lies in the temporary folder where pytest's own is too deep."""
    assert len(tempfile.gettempdir()) < 60
    yield
