"""Where a job's commands run: in a sandbox, or as ordinary processes of this machine."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from opsroom.workflows import sandbox
from opsroom.workflows.protocol import JobOrder
from opsroom.workflows.runner.beneath import Folder, UnsafePath
from opsroom.workflows.runner.layout import Layout
from opsroom.workflows.runner.shell import JobShell
from opsroom.workflows.sandbox import Limits, Mount

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MEMORY = Path("/dev/shm")  # noqa: S108 - only a folder of our own in it is used
INSIDE_EGRESS = "/home/runner/work/_egress"
_INSIDE_SCRIPTS = "/home/runner/work/_scripts"
_SCRIPTS_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`scripts` is the job's name of the folder its scripts are written to, `variables` are added to each step's environment;
    `leave` removes what was made for the job."""

    shell: JobShell
    scripts: str
    search_path: str
    variables: Mapping[str, str]
    leave: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A job that needs a place. `say` writes a line to the log of the job's current step."""

    order: JobOrder
    folder: Path
    layout: Layout
    inherited: Mapping[str, str]
    marker: str
    grace: tuple[float, float]
    limits: Limits
    say: Callable[[str], None]

    @property
    def path(self) -> str:
        return self.inherited.get("PATH", _DEFAULT_PATH)


def find_place(request: Request) -> Place:
    """The place that the order asks for. MissingTool: it asks for a sandbox and there is no bubblewrap."""
    return _sandboxed(request) if request.order.sandbox else _unsandboxed(request)


def _unsandboxed(request: Request) -> Place:
    """Ordinary processes. Scripts may hold secrets, so their files stand in memory where there is some."""
    scripts, leave = _scripts_folder(request.folder, request.layout.temp)
    shell = JobShell(
        (), environment={"PATH": request.path}, marker=request.marker, limits="ulimit -c 0; ", grace=request.grace
    )
    return Place(
        shell=shell,
        scripts=str(scripts),
        search_path=request.path,
        variables={},
        leave=leave,
    )


def _sandboxed(request: Request) -> Place:
    layout, folder = request.layout, request.folder.absolute()
    tmp = folder / "tmp"
    tmp.mkdir(exist_ok=True)
    tmp.chmod(0o1777)
    mounts = [
        Mount(source=str(tmp), target="/tmp", writable=True),  # noqa: S108 - the job's own
        Mount(source=str(layout.home), target=layout.inside_home, writable=True),
        Mount(source=str(layout.workspace), target=layout.inside_workspace, writable=True),
        Mount(source=str(layout.temp), target=layout.inside_temp, writable=True),
    ]
    leave: list[Callable[[], None]] = [lambda: shutil.rmtree(tmp, ignore_errors=True)]
    before, variables = "", dict[str, str]()
    if request.order.network:
        from opsroom.workflows.egress import Egress

        egress = Egress(request.order.network, inside=INSIDE_EGRESS, say=request.say)
        egress.start()
        mounts.append(Mount(source=str(egress.folder), target=INSIDE_EGRESS))
        leave.append(egress.stop)
        before, variables = egress.forwarder(), egress.variables()
    _make_mount_points(layout, (INSIDE_EGRESS,) if request.order.network else ())
    words = sandbox.command(
        mounts=mounts,
        private={_INSIDE_SCRIPTS: _SCRIPTS_BYTES},
        shared=folder.parents[min(2, len(folder.parents) - 1)],
        hidden=folder.parents[3:4],
    )
    path = sandbox.search_path(request.path)
    shell = JobShell(
        words,
        environment={"PATH": path},
        marker=request.marker,
        limits=request.limits.script() + before,
        grace=request.grace,
    )

    def leave_all() -> None:
        for one in reversed(leave):
            one()

    return Place(shell=shell, scripts=_INSIDE_SCRIPTS, search_path=path, variables=variables, leave=leave_all)


def _make_mount_points(layout: Layout, further: Sequence[str]) -> None:
    """The folders in the job's home that others are mounted on. bubblewrap would follow a link that a job left in their place."""
    names = [layout.inside_workspace, layout.inside_temp, _INSIDE_SCRIPTS, *further]
    with Folder(layout.home) as home:
        for path in (name.removeprefix(f"{layout.inside_home}/") for name in names):
            try:
                home.make(path)
            except UnsafePath:
                home.remove(path.partition("/")[0])
                home.make(path)


def sweep_scripts() -> None:
    """Removes what killed runners of this user left in memory: folders that no living runner holds locked."""
    try:
        found = [name for name in os.listdir(_MEMORY) if name.startswith(_prefix())]  # noqa: PTH208 - names alone
    except OSError:
        return
    for name in found:
        path = _MEMORY / name
        try:
            descriptor = _locked(path)
        except OSError:
            continue
        if descriptor >= 0:
            shutil.rmtree(path, ignore_errors=True)
            os.close(descriptor)


def _scripts_folder(folder: Path, otherwise: Path) -> tuple[Path, Callable[[], None]]:
    """A folder of ours alone, the same for the same job, so that what a killed runner left is found and removed; and what ends it.
    It is locked while it is in use: `sweep_scripts` of another process tells by that what is left over."""
    here = folder.stat()
    for path in (_MEMORY / f"{_prefix()}{here.st_dev:x}-{here.st_ino:x}", otherwise / "scripts"):
        try:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(mode=0o700)
            descriptor = _locked(path)
        except OSError:
            continue
        if descriptor >= 0:
            return path, partial(_leave, path, descriptor)
    return otherwise, lambda: None


def _leave(path: Path, descriptor: int) -> None:
    shutil.rmtree(path, ignore_errors=True)
    os.close(descriptor)


def _prefix() -> str:
    return f"opsroom-{os.getuid()}-"


def _locked(path: Path) -> int:
    """A descriptor that holds the folder's lock, -1 where another process holds it. OSError: the folder is gone, or not ours."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held, there = os.fstat(descriptor), path.lstat()
        if (held.st_ino, held.st_uid) != (there.st_ino, os.getuid()):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
    except BlockingIOError:
        os.close(descriptor)
        return -1
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
