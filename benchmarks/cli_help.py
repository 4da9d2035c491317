"""How long `opsroom --help` and a usage error take: the median of ten, beside a bare interpreter. Prints one line each."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 10


def median_ms(*arguments: str) -> float:
    """Wall time of one command from start to exit, in milliseconds."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def main() -> None:
    print(f"python -c pass     {median_ms('-c', 'pass'):6.1f} ms")
    print(f"opsroom --help     {median_ms('-m', 'opsroom', '--help'):6.1f} ms")
    print(f"opsroom nosuch     {median_ms('-m', 'opsroom', 'nosuch'):6.1f} ms")
    print(f"opsroom tokens -h  {median_ms('-m', 'opsroom', 'tokens', '--help'):6.1f} ms")


if __name__ == "__main__":
    main()
