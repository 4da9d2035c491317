"""A job in a folder, run by the real runner, and what it said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from opsroom.kernel.settings import child_environment
from opsroom.workflows import sandbox
from opsroom.workflows.protocol import JobOrder
from opsroom.workflows.runner.job import JobRunner


@dataclass
class Said:
    """A sink that keeps all it is told."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    log: list[tuple[int, str, str]] = field(default_factory=list)
    hear: Callable[[str, Mapping[str, Any]], None] | None = None

    def event(self, type: str, data: Mapping[str, Any]) -> None:
        self.events.append((type, dict(data)))
        if self.hear:
            self.hear(type, data)

    def lines(self, step: int, texts: Iterable[str], stream: str = "out") -> None:
        self.log += [(step, stream, text) for text in texts]
        if self.hear:
            self.hear("lines", {"texts": [text for _, _, text in self.log]})

    def of(self, type: str) -> list[dict[str, Any]]:
        return [data for kind, data in self.events if kind == type]

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """Finished steps by id."""
        return {data["id"]: data for data in self.of("step.finished")}

    @property
    def out(self) -> str:
        """What the steps wrote."""
        return "\n".join(text for _, stream, text in self.log if stream == "out")

    @property
    def everything(self) -> str:
        return repr(self.events) + repr(self.log)

    @property
    def end(self) -> dict[str, Any]:
        return self.events[-1][1]


Run = Callable[..., Said]
Opsroom = Callable[..., "subprocess.CompletedProcess[str]"]
SOURCES = Path(__file__).resolve().parents[3] / "src"


def _run(
    folder: Path,
    steps: Iterable[dict[str, Any] | str],
    *,
    sandbox: bool,
    secrets: Mapping[str, str] | None = None,
    said: Said | None = None,
    runner: dict[str, Any] | None = None,
    **order: Any,
) -> Said:
    written = [{"run": one} if isinstance(one, str) else one for one in steps]
    given = [{"id": f"__{number}", **step} for number, step in enumerate(written)]
    contexts = {"github": {"repository": "team/shop", "ref": "refs/heads/main"}, **order.pop("contexts", {})}
    folder.mkdir(parents=True, exist_ok=True)
    said = said or Said()
    usual = {"run": "run_1", "job": "build", "attempt": 1, "name": "build"}
    whole = JobOrder(steps=tuple(given), contexts=contexts, sandbox=sandbox, **{**usual, **order})
    JobRunner(whole, folder, said, secrets or {}, grace=(0.3, 0.3), **(runner or {})).run()
    return said


def _needs_sandbox() -> None:
    state = sandbox.probe()
    if not state.available:
        pytest.skip(f"no sandbox here: {state.reason}")


@pytest.fixture(params=["sandboxed", "unsandboxed"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Runs a job of these steps, in a sandbox and without one."""
    if request.param == "sandboxed":
        _needs_sandbox()
    return lambda steps, **given: _run(tmp_path / "job", steps, sandbox=request.param == "sandboxed", **given)


@pytest.fixture
def run_plain(tmp_path: Path) -> Run:
    """Runs a job without a sandbox."""
    return lambda steps, folder=tmp_path / "job", **given: _run(folder, steps, sandbox=False, **given)


@pytest.fixture
def run_sandboxed(tmp_path: Path) -> Run:
    """Runs a job in a sandbox."""
    _needs_sandbox()
    return lambda steps, folder=tmp_path / "job", **given: _run(folder, steps, sandbox=True, **given)


@pytest.fixture
def heard() -> type[Said]:
    return Said


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    for words in (
        ["init", "-q", "-b", "main"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "one"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


@pytest.fixture
def opsroom(repository: Path) -> Opsroom:
    """Runs the command line in the repository, after writing the workflow and further files there."""

    def call(
        workflow: str, *words: str, name: str = "ci.yml", files: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        for place, text in {f".github/workflows/{name}": workflow, **(files or {})}.items():
            path = repository / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "opsroom", "run", *words],
            cwd=repository, env={**child_environment(), "PYTHONPATH": str(SOURCES)}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return call
