"""actions/checkout: the commit of the run, from the plane's mirror or from a working copy, into the workspace.

Git works in a folder that no job sees, and what it made is then moved into the workspace: a job cannot lend it configuration
or hooks that would run outside the sandbox.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opsroom.kernel.errors import MissingTool
from opsroom.kernel.settings import child_environment
from opsroom.workflows.runner.beneath import Folder
from opsroom.workflows.runner.builtin import ActionFailed, Effect, Use

_CONFIG = {
    "safe.directory": "*",
    "core.hooksPath": "/dev/null",
    "protocol.ext.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
    "init.defaultBranch": "main",
    "uploadpack.allowAnySHA1InWant": "true",
}


def checkout(use: Use) -> Effect:
    """Puts the files of a commit at `path`, which is emptied first; outputs commit and ref."""
    _refuse(use)
    target = use.layout.outside(use.input("path", "."))
    if not target.is_relative_to(use.layout.workspace.resolve()):
        raise ActionFailed(f"path {use.input('path')!r} is outside of the workspace; name a folder inside")
    below = target.relative_to(use.layout.workspace.resolve()).as_posix()
    with _scratch(use) as scratch:
        commit = _fill(use, scratch)
        with Folder(use.layout.workspace) as workspace:
            below = "" if below == "." else below
            if not use.flag("clean", default=True) and next(workspace.walk(below), None) is not None:
                raise ActionFailed(
                    f"clean: false: what is in {below or 'the workspace'} would be replaced; use another path"
                )
            workspace.empty(below)
            for made in sorted(scratch.iterdir()):
                workspace.take(made, f"{below}/{made.name}".strip("/"))
    return Effect(outputs={"commit": commit, "ref": use.input("ref", str(use.github.get("ref", "")))})


def _refuse(use: Use) -> None:
    wanted = use.input("repository")
    own = str(use.github.get("repository", ""))
    if wanted and wanted.lower() != own.lower():
        raise ActionFailed(f"repository {wanted!r} is not the run's own ({own}); others are not fetched here")
    if use.input("submodules", "false").lower() not in ("", "false"):
        raise ActionFailed("submodules are not fetched here; leave the input out")
    if use.flag("lfs"):
        raise ActionFailed("lfs: the files of Git LFS are not fetched here; leave the input out")


def _fill(use: Use, scratch: Path) -> str:
    """Fills the empty folder; the commit that is in it ("" : there is none)."""
    source = use.order.source
    if source.git:
        git = _Git(use, scratch)
        ref = use.input("ref")
        commit = _resolve(git, source.git, ref) if ref else source.commit
        _clone(use, git, commit)
        if source.folder and not ref:
            _overlay(use, Path(source.folder), scratch)
        use.output.write(f"checked out {commit}")
        return commit
    if not source.folder:
        raise ActionFailed("this run has no repository to check out")
    if use.input("ref"):
        raise ActionFailed(
            f"ref {use.input('ref')!r}: {source.folder} is no Git repository with a commit; leave the input out"
        )
    shutil.copytree(source.folder, scratch, symlinks=True, dirs_exist_ok=True, ignore=_odd_files)
    use.output.write("copied the folder as it is")
    return ""


def _resolve(git: _Git, source: str, ref: str) -> str:
    for name in (f"refs/heads/{ref}", f"refs/remotes/origin/{ref}", f"refs/tags/{ref}", ref):
        found = git.ask(
            "--git-dir", source, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
        )
        if found:
            return found
    raise ActionFailed(f"ref {ref!r} is not in the repository; name a branch, a tag or a commit")


def _clone(use: Use, git: _Git, commit: str) -> None:
    depth = use.input("fetch-depth", "1")
    if not depth.isdigit():
        raise ActionFailed(f"fetch-depth is {depth!r}; write a number, 0 for the whole history")
    ref = str(use.github.get("ref", ""))
    branch = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") and not use.input("ref") else ""
    git.run("init", "--quiet", "--template=", ".")
    refs = [commit, *(["+refs/heads/*:refs/remotes/origin/*"] if depth == "0" else [])]
    limit = [] if depth == "0" else ["--depth", depth]
    tags = "--tags" if depth == "0" or use.flag("fetch-tags") else "--no-tags"
    git.run("fetch", "--quiet", "--no-auto-gc", tags, *limit, f"file://{Path(use.order.source.git).absolute()}", *refs)
    _narrow(use, git)
    where = ["-B", branch] if branch else ["--detach"]
    git.run("checkout", "--quiet", "--force", *where, commit)
    (git.folder / ".git" / "FETCH_HEAD").unlink(missing_ok=True)


def _narrow(use: Use, git: _Git) -> None:
    patterns = [line.strip() for line in use.input("sparse-checkout").splitlines() if line.strip()]
    if patterns:
        cone = use.flag("sparse-checkout-cone-mode", default=True)
        git.run("sparse-checkout", "set", "--cone" if cone else "--no-cone", "--", *patterns)


def _overlay(use: Use, folder: Path, scratch: Path) -> None:
    """What was changed since the commit in a working copy: changed and new files are copied, deleted ones removed."""
    git = _Git(use, folder)
    said = git.ask(
        "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules", strip=False
    )
    for entry in said.split("\0"):
        path = entry[3:]
        if not path:
            continue
        source, target = folder / path, scratch / path
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def _odd_files(folder: str, names: list[str]) -> list[str]:
    """Sockets, pipes and devices cannot be copied."""
    paths = [Path(folder, name) for name in names]
    return [path.name for path in paths if not (path.is_symlink() or path.is_file() or path.is_dir())]


@contextmanager
def _scratch(use: Use) -> Iterator[Path]:
    """A folder beside the workspace, so that moving from it is one rename; the job does not see it."""
    folder = Path(tempfile.mkdtemp(prefix="checkout-", dir=use.layout.workspace.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Git:
    """Git in one folder, with no configuration but ours."""

    def __init__(self, use: Use, folder: Path) -> None:
        self.folder = folder
        self._use = use
        self._environment = {
            **child_environment(),
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_CONFIG_COUNT": str(len(_CONFIG)),
        }
        for index, (key, value) in enumerate(_CONFIG.items()):
            self._environment |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}

    def run(self, *words: str) -> str:
        """What git says. ActionFailed: it fails, or the job was cancelled meanwhile."""
        code, said, wrong = self._call(words)
        if code:
            line = (wrong.strip().splitlines() or [f"exit status {code}"])[-1]
            raise ActionFailed(f"git {words[0]}: {line}")
        return said

    def ask(self, *words: str, strip: bool = True) -> str:
        """What git says, "" where it says no."""
        code, said, _ = self._call(words)
        return "" if code else said.strip() if strip else said

    def _call(self, words: tuple[str, ...]) -> tuple[int, str, str]:
        try:
            process = subprocess.Popen(
                ["git", *words], cwd=self.folder, env=self._environment, text=True, errors="surrogateescape",
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        except FileNotFoundError:
            raise MissingTool("git is not installed; install it with your system's package manager") from None
        while True:
            try:
                said, wrong = process.communicate(timeout=0.2)
            except subprocess.TimeoutExpired:
                if self._use.cancelled():
                    process.kill()
                    process.communicate()
                    raise ActionFailed("the job was cancelled") from None
            else:
                return process.returncode, said, wrong
