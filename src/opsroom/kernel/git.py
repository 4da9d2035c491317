"""The git command for the network, held to safe settings: no prompts, no hooks, no configuration but ours."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from opsroom.kernel.errors import Conflict, Invalid, MissingTool, Unavailable
from opsroom.kernel.settings import child_environment

Credentials = Callable[[str], tuple[str, str] | None]
"""Gives the user name and password (or token) for a URL, or None where none are needed."""

PROTOCOLS = "file:git:http:https:ssh"
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$OPSROOM_GIT_USER" "$OPSROOM_GIT_PASSWORD"; }; f'
)
_SAFE = (
    "protocol.ext.allow=never", "core.hooksPath=/dev/null", "core.fsmonitor=false", "gc.auto=0", "maintenance.auto=false",
    "credential.helper=", f"credential.helper={_HELPER}", "http.lowSpeedLimit=1000", "http.lowSpeedTime=30",
    "advice.pushNonFFCurrent=false",
)  # fmt: skip


_SSH_FAILED = "fatal: Could not read from remote repository"
_SSH_WAYS_OUT = {
    "Host key verification failed": " Add the host's key to the known hosts that OPSROOM_GIT_SSH names.",
    "Permission denied": " Let the key in there that OPSROOM_GIT_SSH names, or name another.",
}


def run_git(
    *arguments: str, folder: Path, url: str = "", credentials: Credentials | None = None, ssh: str = "ssh", seconds: float = 120
) -> str:  # fmt: skip
    """Runs `git ARGUMENTS` in `folder` and returns its output. `url` is the one talked to, for its credentials, which reach git by its
    environment only; `ssh` is the command, with options, that reaches ssh:// ones. Errors: the tool is missing; Conflict when a push is rejected; else Unavailable with git's own last line."""
    environment = child_environment("SSH_AUTH_SOCK") | {
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": PROTOCOLS,
        "GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "GIT_SSH_COMMAND": f"{ssh} -o BatchMode=yes -o ConnectTimeout=10", "LC_ALL": "C",
    }  # fmt: skip
    known = credentials(url) if credentials and url else None
    if known is not None:
        environment |= {"OPSROOM_GIT_USER": known[0], "OPSROOM_GIT_PASSWORD": known[1]}
    command = ["git", *(word for setting in _SAFE for word in ("-c", setting)), *arguments]
    try:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, text=True, errors="replace",
        )  # fmt: skip
    except FileNotFoundError:
        raise MissingTool("git is not installed; install it with the system's package manager") from None
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        # git's helpers hold the pipes: the whole group must go, or waiting for it would not end.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Unavailable(f"git {arguments[0]} {shown_url(url)} took longer than {seconds:.0f} s") from None
    if process.returncode:
        raise _failure(arguments[0], url, err)
    return out


def check_url(url: str) -> None:
    """Invalid for a URL that git would take for an option, of a protocol that is not allowed, or with a password in it."""
    if not url or url.startswith("-") or "\n" in url or "::" in url.split("/")[0]:
        raise Invalid(f"{url!r} is no Git URL; write a path, https://… or ssh://…")
    if "://" in url:
        parts = urlsplit(url)
        if parts.scheme not in PROTOCOLS.split(":"):
            raise Invalid(f"{url!r} has the protocol {parts.scheme}; allowed are {PROTOCOLS.replace(':', ', ')}")
        if parts.password:
            raise Invalid(
                f"the URL {shown_url(url)} holds a password; remove it, and set the secret for its host instead"
            )


def shown_url(url: str) -> str:
    """The URL without anything that stands before its host."""
    parts = urlsplit(url) if "://" in url else None
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts else url


def local_path(url: str) -> Path | None:
    """The folder that a URL names, or None where it names another machine."""
    if "://" in url:
        parts = urlsplit(url)
        return Path(unquote(parts.path)) if parts.scheme == "file" else None
    return None if ":" in url.split("/")[0] else Path(url)


def git_directory(path: Path) -> Path | None:
    """Where the refs and objects of a repository at `path` are, as git itself looks: `path/.git`, `path`, `path.git`."""
    for candidate in (path / ".git", path, path.with_name(path.name + ".git") if path.name else path):
        if candidate.is_file():
            target = candidate.read_text("utf-8").removeprefix("gitdir:").strip()
            candidate = (path / target).resolve()
            common = candidate / "commondir"
            candidate = (candidate / common.read_text("utf-8").strip()).resolve() if common.is_file() else candidate
        if (candidate / "HEAD").is_file() and (candidate / "objects").is_dir():
            return candidate
    return None


def _failure(verb: str, url: str, err: str) -> Exception:
    lines = [line.strip() for line in err.splitlines() if line.strip() and not line.startswith("hint:")]
    at = next((number for number, line in enumerate(lines) if line.startswith(_SSH_FAILED)), 0)
    if at:  # What ssh said before git gave up says why.
        way_out = next((text for sign, text in _SSH_WAYS_OUT.items() if sign in lines[at - 1]), "")
        return Unavailable(f"git {verb} {shown_url(url)}: {lines[at - 1]}{way_out}")
    told = next(
        (line for line in lines if line.startswith(("fatal:", "error:", "remote: error:"))), lines[-1] if lines else ""
    )
    told = (
        told.removeprefix("remote: ").removeprefix("fatal: ").removeprefix("error: ").replace(url, shown_url(url))
        if url
        else told
    )
    if "denyCurrentBranch" in err or "refusing to update checked out branch" in err:
        way_out = "run `git config receive.denyCurrentBranch updateInstead` there, or use a bare repository"
        return Conflict(f"{shown_url(url)} has that branch checked out and refuses a push to it; {way_out}")
    if verb == "push" and ("[rejected]" in err or "stale info" in err or "[remote rejected]" in err):
        return Conflict(f"{shown_url(url)} has moved on and rejected the push; look at it again and repeat the change")
    return Unavailable(f"git {verb} {shown_url(url)}: {told or 'failed without a word'}")
