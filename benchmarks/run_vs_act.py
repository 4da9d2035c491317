"""`opsroom run` beside `act` on this machine: the same workflow files, in turns in one run, wall time and CPU time.

act runs jobs as ordinary processes (`-P ubuntu-latest=-self-hosted`); ours run so too, and in their sandbox.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5
AIM = 1.0


@dataclass(frozen=True)
class Shape:
    """A workflow to run: its id in the table, what it is, and its text."""

    id: str
    what: str
    text: str


@dataclass(frozen=True)
class Taken:
    """Seconds of one run: by the clock, and of all processors, children included."""

    wall: float
    cpu: float


def measure(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """One row for each shape, sandboxed or not, and kind of time: medians of `rounds` runs of each, in alternation."""
    act = _act()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="run-vs-act-") as folder:
        _repository(Path(folder))
        for shape in SHAPES:
            commands = {"plain": _ours(shape, "--unsandboxed"), "sandboxed": _ours(shape), "act": _theirs(act, shape)}
            taken: dict[str, list[Taken]] = {name: [] for name, command in commands.items() if command}
            for turn in range(rounds + 1):
                for name in taken:
                    found = _run(commands[name], Path(folder))
                    if turn:  # The first turn warms the file cache and the compiled modules.
                        taken[name].append(found)
            for name in ("plain", "sandboxed"):
                rows += _rows(shape, name, taken[name], taken.get("act", []))
    return rows


def _rows(shape: Shape, name: str, ours: list[Taken], peer: list[Taken]) -> list[dict[str, Any]]:
    return [
        _row(f"run.{shape.id}.{name}.wall", median(one.wall for one in ours), [one.wall for one in peer]),
        _row(f"run.{shape.id}.{name}.cpu", median(one.cpu for one in ours), [one.cpu for one in peer]),
    ]


def _row(id: str, ours: float, peer: list[float]) -> dict[str, Any]:
    theirs = median(peer) if peer else None
    ratio = ours / theirs if theirs else None
    return {
        "id": id,
        "area": "delivery",
        "unit": "s",
        "ours": round(ours, 3),
        "peer": "not measured" if theirs is None else round(theirs, 3),
        "peer_name": "act",
        "ratio": None if ratio is None else round(ratio, 2),
        "aim": AIM,
        "met": ratio is not None and ratio <= AIM,
    }


def _run(command: Sequence[str], folder: Path) -> Taken:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONPATH": str(ROOT / "src"), "PYTHONPYCACHEPREFIX": str(folder / ".pyc")}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    wall, after = perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return Taken(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _ours(shape: Shape, *words: str) -> list[str]:
    return [sys.executable, "-m", "opsroom", "run", "-W", f".github/workflows/{shape.id}.yml", *words]


def _theirs(act: str, shape: Shape) -> list[str]:
    return [act, "push", "-P", "ubuntu-latest=-self-hosted", "-W", f".github/workflows/{shape.id}.yml"] if act else []


def _act() -> str:
    beside = Path(sys.executable).parent / "act"
    return str(beside) if beside.exists() else shutil.which("act") or ""


def _repository(folder: Path) -> None:
    """A repository with the workflows, as both find it."""
    place = folder / ".github" / "workflows"
    place.mkdir(parents=True)
    for shape in SHAPES:
        (place / f"{shape.id}.yml").write_text(shape.text)
    (folder / ".gitignore").write_text(".pyc\n")
    author = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], [*author, "commit", "-q", "-m", "workflows"]):
        subprocess.run(["git", *words], cwd=folder, check=True)


def _job(id: str, steps: Sequence[str], needs: str = "") -> str:
    lines = [f"  {id}:", "    runs-on: ubuntu-latest", *([f"    needs: {needs}"] if needs else []), "    steps:"]
    return "\n".join([*lines, *(f"      - run: {step}" for step in steps), ""])


def _workflow(name: str, jobs: Sequence[str]) -> str:
    return f"name: {name}\non: push\njobs:\n" + "".join(jobs)


SHAPES = (
    Shape(
        "wide",
        "50 jobs of two steps",
        _workflow("wide", [_job(f"j{n}", [f"echo one {n}", f"echo two {n}"]) for n in range(50)]),
    ),
    Shape(
        "chain",
        "a chain of 20 jobs",
        _workflow("chain", [_job(f"j{n}", [f"echo {n}"], f"j{n - 1}" if n else "") for n in range(20)]),
    ),
    Shape("long", "50 steps in one job", _workflow("long", [_job("j", [f"echo {n}" for n in range(50)])])),
)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
