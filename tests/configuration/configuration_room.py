"""A plane with the configuration area alone, a host's folder beside it, and an ops repo that can be pushed to."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from opsroom.app.plane import build_plane
from opsroom.areas.configuration import AREA
from opsroom.areas.configuration.drift import look
from opsroom.areas.configuration.jobs import plan_commit
from opsroom.areas.configuration.wanted import target_of
from opsroom.contracts.plane import Call, Plane
from opsroom.kernel.actors import Actor
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.ledger import Event
from opsroom.kernel.resources import load_catalog
from opsroom.kernel.settings import Settings

HOST = """apiVersion: opsroom.dev/v1
kind: Host
metadata: {name: here}
spec: {address: local, folder: host}
"""
FILE = """---
apiVersion: opsroom.dev/v1
kind: ManagedFile
metadata: {name: NAME}
spec:
  host: here
  path: PATH
"""
MOTD = FILE.replace("NAME", "motd").replace("PATH", "etc/motd") + "  content: |\n    Welcome.\n"
QUIET = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "PATH": "/usr/bin:/bin"}


@dataclass(kw_only=True)
class Room:
    """A plane, its host's folder, and the ops repo as bare repository and working copy."""

    plane: Plane
    clock: FakeClock
    folder: Path
    work: Path
    commits: int = 0
    actor: Actor = field(default_factory=lambda: Actor.system("test"))

    @property
    def call(self) -> Call:
        return Call(plane=self.plane, actor=self.actor)

    def put(self, path: str, text: str | bytes, mode: int = 0o644) -> Path:
        """Writes a file on the host, as someone outside would."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        file.chmod(mode)
        return file

    def offer(self, files: Mapping[str, str | bytes], commit: str = "") -> Event:
        """Puts an ops repo of these files in force, as the catalog's reader does."""
        self.commits += 1
        commit = commit or f"{self.commits:040x}"
        catalog, problems = load_catalog(files, commit, AREA.kinds)
        assert self.plane.catalogs.offer(commit, catalog, problems), [str(one) for one in problems]
        with self.plane.store.begin() as tx:
            push = self.plane.ledger.record(tx, "change.pushed", actor="person:maria", subjects=[f"commit:{commit}"])
            event = self.plane.ledger.record(
                tx, "catalog.changed", actor="system:catalog", cause=push.id, subjects=[f"commit:{commit}"],
                data={"commit": commit, "in_force": True},
            )  # fmt: skip
        plan_commit(self.plane, event)
        return event

    def push(self, files: Mapping[str, str | bytes], message: str = "change") -> str:
        """Commits files to the ops repo from a working copy and pushes them; returns the commit."""
        for path, text in files.items():
            (self.work / path).parent.mkdir(parents=True, exist_ok=True)
            (self.work / path).write_bytes(text.encode() if isinstance(text, str) else text)
        git(self.work, "add", "--all")
        git(self.work, "-c", "user.name=maria", "-c", "user.email=m@example.com", "commit", "-q", "-m", message)
        git(self.work, "push", "-q", "origin", "HEAD:main")
        return git(self.work, "rev-parse", "HEAD").strip()

    def take_in_force(self) -> Event:
        """Puts the newest pushed commit in force."""
        for change in self.plane.repos.poll():
            self.plane.repos.accept(change)
        commit = self.plane.repos.resolve("ops", "refs/heads/main")
        return self.offer(cast(Any, self.plane.repos.files("ops", commit)), commit)

    def look(self) -> None:
        look(self.plane, target_of(self.plane, "here"))

    def events(self, *types: str) -> list[Event]:
        return self.plane.ledger.find(types=types, newest_first=False)

    def reaches_push(self, event: Event) -> bool:
        return self.plane.ledger.chain(event.id)[-1].type == "change.pushed"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, env=QUIET, capture_output=True, text=True, check=True)
    return done.stdout


def build_room(folder: Path, clock: FakeClock) -> Room:
    bare, work = folder / "ops.git", folder / "work"
    for place in (bare, work):
        place.mkdir()
    git(bare, "init", "-q", "--bare", "--initial-branch=main")
    git(work, "init", "-q", "--initial-branch=main")
    git(work, "remote", "add", "origin", str(bare))
    settings = Settings(state=folder / "state", keys=folder / "keys", repo=str(bare))
    plane = build_plane(settings, [AREA], clock=clock, telemetry=lambda *_: cast(Any, None))
    plane.repos.watch("ops", str(bare))
    return Room(plane=plane, clock=clock, folder=folder / "host", work=work)
