"""`make bench`: measures, prints a table, and writes benchmarks/latest.json and (the whole of it) docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import cli_help, rows

ROOT = Path(__file__).resolve().parents[1]
LATEST = Path("benchmarks") / "latest.json"
PAGE = Path("docs") / "benchmarks.md"
AREAS = (
    "delivery", "observability", "automation", "collaboration", "infrastructure", "security",
    "configuration", "performance", "incidents", "cost", "documentation",
)  # fmt: skip
HELP_MS = 150.0
Measure = Callable[[], Sequence[rows.Row]]


def main(
    arguments: Sequence[str] | None = None,
    *,
    parts: Mapping[str, tuple[Sequence[str], Measure]] | None = None,
    root: Path = ROOT,
) -> int:
    """Runs the parts that give rows of the area, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Opsroom on this machine.")
    parser.add_argument("--area", choices=("kernel", *AREAS), help="measure only the rows of this area")
    area = parser.parse_args(arguments).area
    found: list[rows.Row] = []
    for name, (areas, measure) in (parts or PARTS).items():
        if area is None or area in areas:
            print(f"{name} …", flush=True)
            found += [one for one in measure() if area in (None, one["area"])]
    print(f"\n{rows.as_table(found)}")
    (root / LATEST).write_text(rows.as_json(found))
    if area is None:
        (root / PAGE).write_text(rows.as_markdown(found))
    return 0


def _help() -> Sequence[rows.Row]:
    return [rows.row("help", "kernel", "ms", cli_help.median_ms("-m", "opsroom", "--help"), aim=HELP_MS)]


def _run_vs_act() -> Sequence[rows.Row]:
    from benchmarks.run_vs_act import measure

    return measure()


def _telemetry() -> Sequence[rows.Row]:
    from benchmarks.telemetry import measure

    return measure()


def _server() -> Sequence[rows.Row]:
    from benchmarks.server import measure

    return measure()


PARTS: Mapping[str, tuple[Sequence[str], Measure]] = {
    "the command line": (("kernel",), _help),
    "opsroom run beside act": (("delivery",), _run_vs_act),
    "telemetry": (("observability",), _telemetry),
    "the server and its pages": (("kernel", *AREAS), _server),
}


if __name__ == "__main__":
    sys.exit(main())
