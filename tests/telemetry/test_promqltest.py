"""Prometheus's own evaluator cases, read from the published test scripts: how many of them hold here is a floor."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import promql_parser
import pytest

from opsroom.kernel.errors import UserError
from opsroom.telemetry.limits import Limits
from opsroom.telemetry.port import STALE, Labels, Points, QueryResult, is_stale, labels
from opsroom.telemetry.promql.engine import query, query_range
from opsroom.telemetry.promql.numbers import format_number
from opsroom.telemetry.promql.parse import parse
from opsroom.telemetry.promql.source import MemorySource

SCRIPTS = Path(__file__).parents[2].parent / "shared" / "conformance" / "prometheus" / "promqltest"

FLOORS = {
    "aggregators": 125,
    "at_modifier": 78,
    "collision": 2,
    "functions": 379,
    "literals": 25,
    "operators": 145,
    "selectors": 31,
}
"""Cases that hold, of 160, 78, 2, 431, 25, 214 and 31; the rest need native histograms or label names that are no Unicode."""


@dataclass
class Case:
    line: int
    instant: bool
    start: float
    end: float
    step: float
    text: str
    expects: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    fails: bool = False


def test_published_cases() -> None:
    if not SCRIPTS.is_dir():
        pytest.skip(f"no published PromQL cases at {SCRIPTS}")
    held: dict[str, tuple[int, int]] = {}
    for path in sorted(SCRIPTS.glob("*.test")):
        outcomes = [(case, verdict) for case, verdict in run(path.read_text())]
        held[path.stem] = (sum(1 for _, verdict in outcomes if not verdict), len(outcomes))
        for case, verdict in outcomes:
            if verdict:
                print(f"{path.name}:{case.line}: {case.text}: {verdict}")
    print(held)
    for name, floor in FLOORS.items():
        assert held[name][0] >= floor, (name, held[name])


def run(script: str) -> Iterator[tuple[Case, str]]:
    """Yields every case and what is wrong with its answer ("" : nothing)."""
    source, lines = MemorySource(), script.splitlines()
    at = 0
    while at < len(lines):
        line, number = lines[at].strip(), at + 1
        at += 1
        if not line or line.startswith("#"):
            continue
        block = []
        while at < len(lines) and lines[at].strip() and not re.match(r"(load|eval|clear)", lines[at]):
            if not lines[at].strip().startswith("#"):
                block.append(lines[at].strip())
            at += 1
        if line.startswith("clear"):
            source = MemorySource()
        elif line.startswith("load"):
            _load(source, seconds(line.split()[1]), block)
        else:
            case = _case(number, line, block)
            yield case, _verdict(source, case)


def seconds(text: str) -> float:
    if re.fullmatch(r"[\d.]+", text):
        return float(text)
    return 0.0 if re.fullmatch(r"0\D+", text) else promql_parser.parse_duration(text).total_seconds()


def series(text: str) -> tuple[Labels, str]:
    """A series and the rest of its line."""
    found = re.match(r'([^\s{]*)(\{(?:[^"}\']|"(?:[^"\\]|\\.)*"|\'[^\']*\')*\})?\s*(.*)', text)
    assert found, text
    selector = (found[1] or "") + (found[2] or "")
    if selector in {"", "{}"}:
        return (), found[3]
    tree = parse(selector)
    pairs = {m.name: m.value for m in tree.matchers.matchers}
    if tree.name:
        pairs["__name__"] = tree.name
    return labels(pairs), found[3]


def points(text: str) -> list[float | None]:
    """The values that the notation `1 2+3x2 _ stale {{…}}` stands for; native histograms are gaps here."""
    values: list[float | None] = []
    for item in re.findall(r"\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?(?:x\d+)?|\S+", text):
        if item.startswith("{{"):
            repeat = re.search(r"\}\}x(\d+)$", item)
            values += [None] * (int(repeat[1]) + 1 if repeat else 1)
        elif found := re.fullmatch(r"_(?:x(\d+))?", item):
            values += [None] * int(found[1] or 1)
        elif item == "stale":
            values.append(STALE)
        elif found := re.fullmatch(r"([-+]?[\d.]+(?:e[-+]?\d+)?|[-+]?Inf|NaN)x(\d+)", item, re.IGNORECASE):
            values += [float(found[1])] * (int(found[2]) + 1)
        elif found := re.fullmatch(
            r"([-+]?[\d.]+(?:e[-+]?\d+)?|[-+]?Inf|NaN)([-+][\d.]+(?:e[-+]?\d+)?|[-+]Inf|[-+]NaN)x(\d+)",
            item,
            re.IGNORECASE,
        ):
            values += [float(found[1]) + (float(found[2]) * i if i else 0.0) for i in range(int(found[3]) + 1)]
        else:
            values.append(float(item))
    return values


def _load(source: MemorySource, step: float, block: list[str]) -> None:
    for line in block:
        of, rest = series(line)
        loaded = [(round(i * step * 1000), v) for i, v in enumerate(points(rest)) if v is not None]
        source.add(of, loaded)


def _case(number: int, line: str, block: list[str]) -> Case:
    found = re.match(r"eval(_\w+)?\s+instant\s+at\s+(\S+)\s+(.*)", line)
    if found:
        at = seconds(found[2])
        case = Case(number, True, at, at, 1, found[3])
    else:
        found = re.match(r"eval(_\w+)?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.*)", line)
        assert found, line
        case = Case(number, False, seconds(found[2]), seconds(found[3]), seconds(found[4]), found[5])
    case.fails = found[1] == "_fail"
    if found[1] in {"_ordered", "_warn", "_info"}:
        case.expects.append(found[1][1:])
    for entry in block:
        if entry.startswith("expected_fail"):
            case.fails = True
        elif entry.startswith("expect "):
            case.expects.append(entry.removeprefix("expect ").strip())
        else:
            case.rows.append(entry)
    case.fails = case.fails or any(e.startswith("fail") for e in case.expects)
    return case


def _verdict(source: MemorySource, case: Case) -> str:
    limits = Limits(steps=100_000)
    try:
        if case.instant:
            result = query(source, case.text, case.start, limits)
        else:
            result = query_range(source, case.text, case.start, case.end, case.step, limits)
    except UserError as error:
        return "" if case.fails and _message_fits(case, str(error)) else f"failed: {error}"
    if case.fails:
        return "should have failed"
    for kind, found in (("warn", result.warnings), ("info", result.infos)):
        wanted = [e for e in case.expects if re.match(rf"{kind}\b", e)]
        if wanted and not found:
            return f"no {kind}"
        if f"no_{kind}" in case.expects and found:
            return f"{kind}: {found}"
    return _compare(result, case)


def _message_fits(case: Case, message: str) -> bool:
    for expect in case.expects:
        if found := re.match(r"fail\s+(msg|regex):\s*(.*)", expect):
            wanted = found[2].strip().strip('"')
            if found[1] == "msg" and wanted not in message:
                return False
            if found[1] == "regex" and not re.search(wanted, message):
                return False
    return True


def _compare(result: QueryResult, case: Case) -> str:
    if text := next((e for e in case.expects if e.startswith("string")), ""):
        return "" if result.text == text.removeprefix("string").strip()[1:-1] else f"{result.text!r}"
    if result.kind == "scalar":
        return _same(float(case.rows[0]), result.series[0].values[0])
    ranged = next((e for e in case.expects if e.startswith("range vector")), "")
    start, step = case.start, case.step
    if ranged:
        found = re.match(r"range vector from (\S+) to (\S+) step (\S+)", ranged)
        assert found
        start, step = seconds(found[1]), seconds(found[3])
    wanted: list[tuple[Labels, dict[float, float]]] = []
    for row in case.rows:
        of, rest = series(row)
        if "{{" in rest:
            return "native histogram"
        wanted.append((of, {round(start + i * step, 3): v for i, v in enumerate(points(rest)) if v is not None}))
    if "ordered" in case.expects and [p.labels for p in result.series] != [of for of, _ in wanted]:
        return f"order {[p.labels for p in result.series]}"
    return _same_series(wanted, result.series)


def _same_series(wanted: list[tuple[Labels, dict[float, float]]], found: tuple[Points, ...]) -> str:
    got = {p.labels: dict(zip([round(t, 3) for t in p.times], p.values, strict=True)) for p in found}
    expected = {of: values for of, values in wanted if values}
    if set(got) != set(expected):
        return f"series {sorted(got)} != {sorted(expected)}"
    for of, values in expected.items():
        if set(values) != set(got[of]):
            return f"{of}: times {sorted(got[of])} != {sorted(values)}"
        for at, value in values.items():
            if wrong := _same(value, got[of][at]):
                return f"{of} at {at}: {wrong}"
    return ""


def _same(wanted: float, got: float) -> str:
    if is_stale(wanted) or is_stale(got):
        good = is_stale(wanted) == is_stale(got)
    elif math.isnan(wanted) or math.isnan(got):
        good = math.isnan(wanted) and math.isnan(got)
    else:
        good = wanted == got or abs(wanted - got) <= 1e-6 * max(abs(wanted), abs(got)) or abs(wanted - got) < 1e-12
    return "" if good else f"{format_number(got)} != {format_number(wanted)}"
