"""A repository as it lies in a folder: what Git knows of it, its workflow files, and the event that a run here starts from."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsroom.kernel.errors import Invalid, MissingTool, NotFound
from opsroom.kernel.settings import child_environment

FOLDERS = (".opsroom/workflows", ".github/workflows")
_ORIGIN = re.compile(r'^\[remote "origin"\]$[^\[]*?^\s*url\s*=\s*(.+)$', re.MULTILINE)
_REMOTE = re.compile(r"[:/]([^/:]+/[^/:]+?)(?:\.git)?/?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingCopy:
    """`root` is its top folder; `git` its Git directory and `commit` what is checked out ("" : it is no repository, or has no commit)."""

    root: Path
    git: str = ""
    commit: str = ""
    branch: str = ""
    repository: str = ""

    @classmethod
    def of(cls, folder: Path) -> WorkingCopy:
        """The working copy that `folder` lies in; a folder outside of Git stands for itself."""
        said = _git(
            folder,
            "rev-parse",
            "--path-format=absolute",
            "--show-toplevel",
            "--git-common-dir",
            "HEAD",
            "--symbolic-full-name",
            "HEAD",
        )
        if len(said) < 2:
            return cls(root=folder.resolve(), repository=f"local/{folder.resolve().name}")
        root, git = Path(said[0]), Path(said[1])
        commit, branch = (said[2], said[3]) if len(said) == 4 else ("", "")
        return cls(
            root=root,
            git=str(git),
            commit=commit,
            branch=branch if branch.startswith("refs/") else "",
            repository=_origin(git) or f"local/{root.name}",
        )

    def workflow_files(self, given: str = "") -> list[Path]:
        """The workflow files to look at: `given` (a file or a folder), else .opsroom/workflows, else .github/workflows.

        NotFound: there is none.
        """
        if given:
            path = Path(given)
            if path.is_file():
                return [path]
            folders = [path]
        else:
            folders = [self.root / name for name in FOLDERS]
        for folder in folders:
            found = sorted(path for path in folder.glob("*.y*ml") if path.suffix in (".yml", ".yaml"))
            if found:
                return found
        where = given or f"{self.root} ({' or '.join(FOLDERS)})"
        raise NotFound(f"no workflow in {where}; name a file with -W")

    def files(self) -> list[str]:
        """Paths of what a commit of everything would hold; outside of Git, of every file."""
        if not self.git:
            return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())
        listed = _git(self.root, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
        names = {name for line in listed for name in line.split("\0") if name}
        return sorted(name for name in names if (self.root / name).is_file())

    def shown(self, path: Path) -> str:
        """A path as errors name it: relative to the working copy."""
        absolute = path.resolve()
        return absolute.relative_to(self.root).as_posix() if absolute.is_relative_to(self.root) else str(path)


def read_payload(path: str) -> Mapping[str, Any]:
    """An event's payload from a JSON file. Invalid: no JSON object."""
    if not path:
        return {}
    try:
        data = json.loads(Path(path).read_text())
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}; name a JSON file of the event's payload") from error
    except ValueError as error:
        raise Invalid(f"{path}: not JSON ({error}); write the event's payload as one object") from error
    if not isinstance(data, dict):
        raise Invalid(f"{path}: not an object; write the event's payload as {{…}}")
    return data


def _origin(git: Path) -> str:
    """OWNER/NAME of the remote `origin`, "" where there is none. The file is read, since asking git takes a process."""
    try:
        text = (git / "config").read_text(errors="replace")
    except OSError:
        return ""
    url = _ORIGIN.search(text)
    found = _REMOTE.search(url[1].strip()) if url else None
    return found[1] if found else ""


def _git(folder: Path, *words: str) -> list[str]:
    """The lines that git says before it says no, if it does."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            env={**child_environment(), "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise MissingTool("git is not installed; install it with your system's package manager") from None
    return done.stdout.splitlines()
