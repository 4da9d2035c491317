"""Memory of a server and of all that belongs to it, as proportional set size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")


def own_megabytes(server: int, state: Path) -> dict[str, float]:
    """PSS in MB by process: the server, its descendants, and what names the state folder on its command line; without the
    services it deployed and without what was deployed by them."""
    parents = dict(_parents())
    services = {pid for pid in parents if _is_service(pid, state)}
    found = {
        pid
        for pid in parents
        if not services & set(_line(pid, parents)) and (server in _line(pid, parents) or str(state) in _command(pid))
    }
    return {f"{pid} {_command(pid)[:60]}": megabytes for pid in sorted(found) if (megabytes := _pss(pid)) is not None}


def _parents() -> Iterator[tuple[int, int]]:
    for folder in PROC.iterdir():
        if folder.name.isdecimal() and (status := _text(folder / "stat")):
            # The name in parentheses may itself hold spaces and parentheses.
            yield int(folder.name), int(status.rpartition(")")[2].split()[1])


def _line(pid: int, parents: dict[int, int]) -> Iterator[int]:
    """The process and its ancestors."""
    while pid in parents:
        yield pid
        pid = parents[pid]


def _is_service(pid: int, state: Path) -> bool:
    """A deployed service is given a DATA_DIR below the state folder."""
    return any(one.startswith(f"DATA_DIR={state}") for one in _text(PROC / str(pid) / "environ").split("\0"))


def _command(pid: int) -> str:
    return " ".join(_text(PROC / str(pid) / "cmdline").replace("\0", " ").split())


def _pss(pid: int) -> float | None:
    for line in _text(PROC / str(pid) / "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return None


def _text(path: Path) -> str:
    """ "" for a process that has ended meanwhile, or is another user's."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
