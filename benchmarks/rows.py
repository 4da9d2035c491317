"""A row of the table: what was measured, beside whom, against which aim; and the table as text, JSON and Markdown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
"""`{id, area, unit, ours, peer, peer_name, ratio, aim, met}`. `aim` is the most that `ratio` (where there is a peer), else
`ours`, should be; None: no aim. `met` None: no aim. A peer that is absent reads "not measured", and its row is never met."""

NOT_MEASURED = "not measured"
_HEAD = ("id", "ours", "peer", "ratio", "aim", "met")


def row(id: str, area: str, unit: str, ours: float | None, *, aim: float | None = None) -> dict[str, Any]:
    """A row without a peer. `ours` None: it could not be measured, and does not meet its aim."""
    return {
        "id": id,
        "area": area,
        "unit": unit,
        "ours": NOT_MEASURED if ours is None else round(ours, 3),
        "peer": None,
        "peer_name": "",
        "ratio": None,
        "aim": aim,
        "met": None if aim is None else ours is not None and ours <= aim,
    }


def as_json(rows: Sequence[Row]) -> str:
    return json.dumps(rows, indent=2) + "\n"


def as_table(rows: Sequence[Row]) -> str:
    """Columns of equal width for a terminal."""
    lines = [_HEAD, *map(_cells, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def as_markdown(rows: Sequence[Row], *, day: datetime | None = None) -> str:
    """The page docs/benchmarks.md: the last full table, and what it was measured on."""
    table = [f"| {' | '.join(_HEAD)} |", f"| {' | '.join('---' for _ in _HEAD)} |"]
    table += [f"| {' | '.join(_cells(one))} |" for one in rows]
    met = sum(1 for one in rows if one["met"])
    aimed = sum(1 for one in rows if one["aim"] is not None)
    return "\n".join([
        "# Benchmarks", "", f"<!-- Written by `make bench`, {(day or datetime.now(UTC)):%Y-%m-%d}. -->", "", _EXPLANATION, "",
        f"Measured {(day or datetime.now(UTC)):%Y-%m-%d} on {machine()}. {met} of {aimed} aims are met.", "", *table, "",
    ])  # fmt: skip


def machine() -> str:
    """Processor, cores, memory and Python, in a line."""
    model = _first(Path("/proc/cpuinfo"), "model name") or platform.machine()
    kilobytes = _first(Path("/proc/meminfo"), "MemTotal").split(" ")[0]
    memory = f", {int(kilobytes) / 1e6:.1f} GB" if kilobytes else ""
    return f"{model}, {len(os.sched_getaffinity(0))} cores{memory}, Python {platform.python_version()}"


_EXPLANATION = """`make bench` measures all of this and writes this page; `make bench AREA=delivery` measures a part and writes only
`benchmarks/latest.json`. Nothing here is a test: no figure fails a build.

- `start.listening`: from starting the process of `opsroom serve` to its first answer.
- `memory.idle`, `memory.story`: proportional set size (PSS) of the server, its telemetry process, the process that runners fork from, and
  Caddy; ten seconds after the start, and at the end of the example team's story. The deployed services are not in it.
- `help`: `opsroom --help`, median of ten, from start to exit.
- `run.*`: `opsroom run` beside `act` on the same workflow files, in turns in one run, medians of five; `wide` is 50 jobs of two steps,
  `chain` 20 jobs each needing the one before, `long` 50 steps in one job. `plain` is without a sandbox, as act runs; `sandboxed` is ours as usual.
- `metrics.*`, `logs.*`: the embedded telemetry store, through its port. Writing counts until the data is in the tables, not only acknowledged.
- `page.*`: a page's HTML at the end of the story, median of five requests."""


def _cells(one: Row) -> tuple[str, ...]:
    peer = "" if one["peer"] is None else f"{_amount(one['peer'], one['unit'])} ({one['peer_name']})"
    aim = "" if one["aim"] is None else f"≤ {one['aim']:g}" + ("" if one["peer"] is not None else f" {one['unit']}")
    met = {None: "", True: "yes", False: "no"}[one["met"]]
    ratio = "" if one["ratio"] is None else f"{one['ratio']:.2f}"
    return one["id"], _amount(one["ours"], one["unit"]), peer, ratio, aim, met


def _amount(value: float | str, unit: str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"


def _first(path: Path, name: str) -> str:
    lines: Iterable[str] = path.read_text().splitlines() if path.exists() else ()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
