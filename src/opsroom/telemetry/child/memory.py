"""What this process holds in memory: how much, the hard cap, and giving back what is only a copy of a file."""

from __future__ import annotations

import ctypes
import resource
from pathlib import Path

_MADV_DONTNEED = 4
_HEADROOM = 1_200_000_000


def resident_bytes() -> int:
    """The resident set of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def cap(memory: int) -> None:
    """The last guard behind the engine's own limit: allocations fail beyond twice the memory it may use.

    Data segments count address space that is reserved and not used (stacks, allocator arenas), hence the headroom.
    """
    limit = 2 * memory + _HEADROOM
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def release() -> None:
    """Gives free memory of the C heap, where NumPy's arrays were, back to the system."""
    ctypes.CDLL(None).malloc_trim(0)


def drop_file_pages() -> None:
    """Unmaps the resident pages of files mapped read-only; the kernel keeps them cached, and maps them again when touched.

    The engine's library is 555 MB, of which starting it touches 170 and answering about 60.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for start, length in _clean_file_mappings(Path("/proc/self/smaps").read_text()):
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED)


def _clean_file_mappings(smaps: str) -> list[tuple[int, int]]:
    """(start, length) of mappings of files that are not writable and hold no page of our own: only those can be read again."""
    found: list[tuple[int, int]] = []
    mapping: tuple[int, int] | None = None
    for line in smaps.splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            start, end = (int(part, 16) for part in words[0].split("-"))
            plain = len(words) > 5 and words[5].startswith("/") and "w" not in words[1]
            mapping = (start, end - start) if plain else None
            if mapping:
                found.append(mapping)
        elif words[0] in {"Private_Dirty:", "Anonymous:"} and words[1] != "0" and mapping in found:
            found.remove(mapping)
    return found
