"""This machine, read from its kernel: processors, memory, disks, system."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from opsroom.areas.infrastructure.model import Disk, Machine

PROC = Path("/proc")


def host_name() -> str:
    """What this machine calls itself."""
    return socket.gethostname()


def read_machine(folders: Sequence[Path], *, proc: Path = PROC) -> Machine:
    """This machine now, and the file systems that hold these folders, each once."""
    memory = _memory(proc)
    return Machine(
        name=host_name(),
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=memory.get("MemTotal"),
        memory_free_bytes=memory.get("MemAvailable"),
        load=os.getloadavg()[0],
        started=_started(proc),
        kernel=f"{platform.system()} {platform.release()}",
        system=_system(),
        architecture=platform.machine(),
        python=platform.python_version(),
        disks=_disks(folders),
    )


def _memory(proc: Path) -> dict[str, int]:
    """Fields of /proc/meminfo (proc_meminfo(5)) in bytes; it counts in units of 1024."""
    try:
        lines = (proc / "meminfo").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {
        name: int(value.split()[0]) * 1024
        for name, _, value in pairs
        if value.split()[:1] and value.split()[0].isdigit()
    }


def _started(proc: Path) -> datetime | None:
    """`btime` of /proc/stat: when the kernel started."""
    try:
        lines = (proc / "stat").read_text().splitlines()
    except OSError:
        return None
    found = next((line.split()[1] for line in lines if line.startswith("btime ")), "")
    return datetime.fromtimestamp(int(found), UTC) if found.isdigit() else None


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def _disks(folders: Sequence[Path]) -> tuple[Disk, ...]:
    found: dict[int, Disk] = {}
    for folder in folders:
        here = folder.absolute()
        while not here.exists():
            here = here.parent
        usage = shutil.disk_usage(here)
        found.setdefault(here.stat().st_dev, Disk(folder=str(folder), total_bytes=usage.total, free_bytes=usage.free))
    return tuple(found.values())
