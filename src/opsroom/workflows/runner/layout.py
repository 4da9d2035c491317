"""Where the files of a job are: as the runner sees them, and as the job does, which in a sandbox are other paths.

Inside a sandbox the paths are those of a GitHub-hosted runner, the same in every job, so that what a cache brings back still
fits. The runner follows no path of the job through a link that leaves the job's own folders.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from opsroom.kernel.errors import Invalid

_HOME = "/home/runner"
_WORK = f"{_HOME}/work"


class Outside(Invalid):
    """A path of a job leaves the folders of the job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One job's folders: outside paths (`workspace`, `home`, `temp`), and what the job calls them."""

    workspace: Path
    home: Path
    temp: Path
    inside_workspace: str
    inside_home: str
    inside_temp: str

    @classmethod
    def of(cls, folder: Path, *, sandboxed: bool, repository: str = "") -> Layout:
        """The layout of the job in `folder`; creates the folders."""
        folder = folder.absolute()
        workspace, home, temp = folder / "workspace", folder / "home", folder / "temp"
        for path in (workspace, home, temp):
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
        name = repository.rpartition("/")[2] or "workspace"
        return cls(
            workspace=workspace,
            home=home,
            temp=temp,
            inside_workspace=f"{_WORK}/{name}/{name}" if sandboxed else str(workspace),
            inside_home=_HOME if sandboxed else str(home),
            inside_temp=f"{_WORK}/_temp" if sandboxed else str(temp),
        )

    def inside(self, name: str) -> str:
        """What the job calls a file of its temp folder."""
        return f"{self.inside_temp}/{name}"

    def outside(self, path: str) -> Path:
        """The runner's path for one that the job names: relative to the workspace, `~/…`, or absolute in one of its folders.

        Links on the way are followed only within that folder. Outside: it is in none of them, or leaves it.
        """
        root, parts = self._rooted(path)
        return confined(root, parts, shown=path)

    def root_of(self, path: Path) -> Path:
        """Which of the three folders a path that `outside` gave is in."""
        return next(root for root, _ in self._roots() if path.is_relative_to(root.resolve()))

    def named(self, path: Path) -> str:
        """What the job calls a path that `outside` gave."""
        for root, name in self._roots():
            if path.is_relative_to(root.resolve()):
                relative = path.relative_to(root.resolve()).as_posix()
                return name if relative == "." else f"{name}/{relative}"
        return str(path)

    def _rooted(self, path: str) -> tuple[Path, str]:
        if path == "~" or path.startswith("~/"):
            return self.home, path[2:]
        if not path.startswith("/"):
            return self.workspace, path
        normal = os.path.normpath(path)
        for root, name in self._roots():
            if normal == name or normal.startswith(f"{name}/"):
                return root, normal[len(name) + 1 :]
        raise Outside(f"{path!r} is outside of the job; name a path in the workspace, in ~ or in RUNNER_TEMP")

    def _roots(self) -> tuple[tuple[Path, str], ...]:
        return (
            (self.workspace, self.inside_workspace),
            (self.temp, self.inside_temp),
            (self.home, self.inside_home),
        )


def confined(root: Path, relative: str, *, shown: str = "") -> Path:
    """`root / relative` with every link on the way resolved; it need not exist. Outside: that leaves `root`."""
    root = root.resolve()
    path = Path(os.path.realpath(root / PurePosixPath(relative)))
    if path != root and not path.is_relative_to(root):
        raise Outside(
            f"{shown or relative!r} leaves {'the workspace' if root.name == 'workspace' else 'the job'}; name a path inside"
        )
    return path
