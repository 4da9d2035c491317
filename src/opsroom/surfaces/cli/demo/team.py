"""The example team set up for a story: bare Git repositories, a working copy of each, commits and pushes by its people."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import opsroom
from opsroom.kernel.errors import Unavailable
from opsroom.kernel.settings import child_environment

REPOSITORIES = ("ops", "inventory", "storefront")


def example_folder() -> Path:
    """Where the example team stands in a clone of the project; Unavailable when Opsroom was installed without it."""
    folder = Path(opsroom.__file__).resolve().parents[2] / "examples" / "shop"
    if not (folder / "ops" / "catalog-info.yaml").exists():
        raise Unavailable(f"the example team is not at {folder}; run this from a clone of the project")
    return folder


@dataclass(frozen=True, kw_only=True)
class Team:
    """The team's repositories under `folder`: `git/NAME.git`, and `work/NAME` where its people work."""

    folder: Path
    example: Path = field(default_factory=example_folder)

    @property
    def ops(self) -> Path:
        return self.bare("ops")

    def bare(self, name: str) -> Path:
        return self.folder / "git" / f"{name}.git"

    def work(self, name: str) -> Path:
        return self.folder / "work" / name

    def create(self, variables: Mapping[str, str]) -> None:
        """Makes the repositories, empty but for the ops repo, whose variables are those of this installation."""
        for name in REPOSITORIES:
            bare, work = self.bare(name), self.work(name)
            bare.mkdir(parents=True)
            _git(bare, "init", "--quiet", "--bare", "--initial-branch=main")
            shutil.copytree(self.example / name, work, ignore=shutil.ignore_patterns("__pycache__", "*.sqlite*"))
            _git(work, "init", "--quiet", "--initial-branch=main")
            _git(work, "remote", "add", "origin", str(bare))
        file = self.work("ops") / "opsroom" / "variables.yaml"
        file.write_text(_with_values(file.read_text(), variables))

    def push(self, name: str, message: str, author: str, files: Mapping[str, str] | None = None) -> str:
        """Writes files, commits everything as the author and pushes; returns the commit."""
        work = self.work(name)
        for path, text in (files or {}).items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        _git(work, "add", "--all")
        person = ["-c", f"user.name={author}", "-c", f"user.email={author}@shop.example"]
        _git(work, *person, "commit", "--quiet", "--allow-empty", "-m", message)
        _git(work, "push", "--quiet", "origin", "HEAD:main")
        return _git(work, "rev-parse", "HEAD").strip()

    def story_files(self, name: str) -> dict[str, str]:
        """The files of a change that the story brings, by their path in the repository."""
        folder = self.example / "story" / name
        return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()


def _git(folder: Path, *arguments: str) -> str:
    environment = {
        **child_environment(),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
    }
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"git {arguments[0]} in {folder} failed: {done.stderr.strip()}")
    return done.stdout


def _with_values(text: str, values: Mapping[str, str]) -> str:
    """The variables file with these values; a name that it does not have is our bug."""
    lines = text.splitlines()
    for name, value in values.items():
        at = next((n for n, line in enumerate(lines) if line.strip().startswith(f"{name}:")), None)
        if at is None:
            raise KeyError(f"the example's variables have no {name}")
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        lines[at] = f'{indent}{name}: "{value}"'
    return "\n".join(lines) + "\n"
