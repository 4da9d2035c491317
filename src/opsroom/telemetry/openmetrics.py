"""OpenMetrics 1.0, read strictly: what the specification forbids is refused, with the line.

Specification: https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import pairwise

from opsroom.telemetry.exposition import Exposed, Exposition, bad_line, labels_of, unescaped
from opsroom.telemetry.port import Labels, Metadata

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABELS = r'\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*"(?:,(?!\}))?)*\}'
_REAL = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_NUMBER = rf"(?:{_REAL}|[-+]?(?i:inf|infinity)|(?i:nan))"
_SAMPLE = re.compile(
    rf"({_NAME})({_LABELS})? ({_NUMBER})(?: ({_REAL}))?(?: # ({_LABELS}) ({_NUMBER})(?: ({_REAL}))?)?\Z"
)
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)=("(?:[^"\\\n]|\\.)*")(,|$)')
_META = re.compile(rf"# (TYPE|HELP|UNIT) ({_NAME}) (.*)\Z", re.DOTALL)

_SUFFIXES = {
    "unknown": ("",),
    "gauge": ("",),
    "stateset": ("",),
    "counter": ("_total", "_created"),
    "info": ("_info",),
    "summary": ("", "_count", "_sum", "_created"),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
}
_EXEMPLAR = {("counter", "_total"), ("histogram", "_bucket"), ("gaugehistogram", "_bucket")}
_EXEMPLAR_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class _Point:
    line: int
    suffix: str
    labels: Labels
    value: float
    time: float | None


@dataclass(slots=True)
class _Family:
    name: str
    type: str = ""
    help: str | None = None
    unit: str | None = None
    points: list[_Point] = field(default_factory=list)


def parse_openmetrics(text: str) -> Exposition:
    """Reads a whole exposition, which must end with `# EOF`. Raises Invalid with the first line that breaks a rule."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines or lines[-1] != "# EOF":
        raise bad_line(max(1, len(lines)), "is the last and not '# EOF'", lines[-1] if lines else "")
    reader = _Reader()
    for number, line in enumerate(lines[:-1], 1):
        reader.line(number, line)
    return reader.result()


class _Reader:
    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}
        self._names: dict[str, str] = {}
        self._now: _Family | None = None

    def line(self, number: int, line: str) -> None:
        if line.startswith("#"):
            self._metadata(number, line)
        else:
            self._sample(number, line)

    def result(self) -> Exposition:
        if self._now:
            _check(self._now)
        families = self._families.values()
        samples = tuple(Exposed(p.labels, p.value, p.time) for f in families for p in f.points)
        metadata = (Metadata(f.name, f.type or "unknown", f.help or "", f.unit or "") for f in families)
        return Exposition(samples, tuple(metadata))

    def _metadata(self, number: int, line: str) -> None:
        found = _META.match(line)
        if not found:
            raise bad_line(
                number, "is none of '# TYPE name type', '# HELP name text', '# UNIT name unit', '# EOF'", line
            )
        kind, name, rest = found.groups()
        family = self._now if self._now and self._now.name == name else self._begin(number, name)
        if family.points:
            raise bad_line(number, f"tells of {name} after its first sample", line)
        if {"TYPE": family.type or None, "HELP": family.help, "UNIT": family.unit}[kind] is not None:
            raise bad_line(number, f"gives the {kind} of {name} again", line)
        if kind == "HELP":
            family.help = unescaped(rest)
        elif kind == "UNIT":
            family.unit = rest
        elif rest not in _SUFFIXES:
            raise bad_line(number, f"gives {name} the type {rest!r}; the types are {', '.join(_SUFFIXES)}", "")
        else:
            family.type = rest
            self._claim(number, family)
        if family.unit and (not name.endswith("_" + family.unit) or family.type in {"info", "stateset"}):
            raise bad_line(
                number, f"gives {name} the unit {family.unit!r}, which must end its name (info, stateset: none)", ""
            )

    def _sample(self, number: int, line: str) -> None:
        found = _SAMPLE.match(line)
        if not found:
            raise bad_line(number, 'is no sample; write name{label="value"} number, with single spaces', line)
        name, block, value, time, exemplar = found[1], found[2] or "{}", found[3], found[4], found[5]
        family = self._family_of(number, name)
        suffix = name[len(family.name) :]
        if exemplar is not None:
            if (family.type, suffix) not in _EXEMPLAR:
                raise bad_line(number, f"has an exemplar, which {name} may not have", line)
            _check_exemplar(number, exemplar)
        labels = labels_of(name, block[1:-1], number, pair=_PAIR)
        family.points.append(_Point(number, suffix, labels, float(value), None if time is None else float(time)))

    def _family_of(self, number: int, name: str) -> _Family:
        now = self._now
        if now and name in {now.name + suffix for suffix in _SUFFIXES[now.type or "unknown"]}:
            return now
        family = self._begin(number, name)
        self._claim(number, family)
        return family

    def _begin(self, number: int, name: str) -> _Family:
        if self._now:
            _check(self._now)
        if name in self._families:
            raise bad_line(number, f"comes back to {name} after another metric; keep its lines together", "")
        self._now = self._families[name] = _Family(name)
        return self._now

    def _claim(self, number: int, family: _Family) -> None:
        for suffix in {"", *_SUFFIXES[family.type or "unknown"]}:
            owner = self._names.setdefault(family.name + suffix, family.name)
            if owner != family.name:
                raise bad_line(number, f"uses the name {family.name + suffix}, which belongs to {owner}", "")


def _check_exemplar(number: int, block: str) -> None:
    pairs = labels_of("x", block[1:-1], number, pair=_PAIR)
    if sum(len(name) + len(value) for name, value in pairs if name != "__name__") > _EXEMPLAR_CHARACTERS:
        raise bad_line(number, f"has an exemplar whose labels are over {_EXEMPLAR_CHARACTERS} characters", "")


def _check(family: _Family) -> None:
    """The rules of a whole family: grouping, order of time, values and labels of its type."""
    groups: dict[Labels, list[_Point]] = {}
    last: Labels | None = None
    for point in family.points:
        _check_value(family, point)
        group = _group(family, point)
        if group != last and group in groups:
            raise bad_line(point.line, f"comes back to a metric of {family.name} after another one of it", "")
        if groups.get(group):
            _check_time(groups[group][-1], point)
        groups.setdefault(group, []).append(point)
        last = group
    if family.type in {"histogram", "gaugehistogram"}:
        for points in groups.values():
            for at_once in _by_time(points):
                _check_histogram(family, at_once)


def _group(family: _Family, point: _Point) -> Labels:
    own = {"histogram": "le", "gaugehistogram": "le", "summary": "quantile", "stateset": family.name}.get(family.type)
    return tuple(pair for pair in point.labels if pair[0] not in {"__name__", own})


def _check_time(before: _Point, point: _Point) -> None:
    if (before.time is None) != (point.time is None):
        raise bad_line(point.line, "mixes samples with and without a time", "")
    if point.time is not None and before.time is not None and point.time < before.time:
        raise bad_line(point.line, "goes back in time", "")
    if point.time is None and before.labels == point.labels:
        raise bad_line(point.line, "gives the same series again without a time", "")


def _check_value(family: _Family, point: _Point) -> None:
    kind, suffix, value, labels = family.type, point.suffix, point.value, dict(point.labels)
    wrong = ""
    if kind == "stateset":
        if family.name not in labels:
            wrong = f"needs the label {family.name}"
        elif value not in {0.0, 1.0}:
            wrong = "may be 0 or 1 only"
    elif kind == "info" and value != 1.0:
        wrong = "may be 1 only"
    elif kind == "summary" and suffix == "":
        quantile = _real(labels.get("quantile"))
        if quantile is None or not 0 <= quantile <= 1:
            wrong = "needs a label quantile between 0 and 1"
        elif value < 0:
            wrong = "may not be negative"
    elif suffix == "_bucket" and kind in {"histogram", "gaugehistogram"} and _bound(labels.get("le")) is None:
        wrong = "needs a label le that is a number or +Inf"
    counts = suffix in {"_total", "_count", "_sum", "_bucket", "_gcount"} and kind not in {"unknown", "gauge", ""}
    if not wrong and (counts or suffix == "_gsum") and (math.isnan(value) or (value < 0 and counts)):
        wrong = "may not be negative or NaN"
    if wrong:
        raise bad_line(point.line, f"gives {family.name}{suffix} = {value:g}, which {wrong}", "")


def _by_time(points: list[_Point]) -> list[list[_Point]]:
    times: dict[float | None, list[_Point]] = {}
    for point in points:
        times.setdefault(point.time, []).append(point)
    return list(times.values())


def _check_histogram(family: _Family, points: list[_Point]) -> None:
    """Buckets rise to +Inf, count and sum come after them, together, and agree."""
    gauge = family.type == "gaugehistogram"
    names = ("_gcount", "_gsum") if gauge else ("_count", "_sum")
    buckets = [p for p in points if p.suffix == "_bucket"]
    count, total = (next((p for p in points if p.suffix == name), None) for name in names)
    line, wrong = points[-1].line, ""
    bounds = [_bound(dict(p.labels).get("le")) or 0.0 for p in buckets]
    negative = bool(bounds) and bounds[0] < 0
    if not bounds or bounds[-1] != math.inf:
        wrong = 'has no bucket le="+Inf"'
    elif any(a >= b for a, b in pairwise(bounds)):
        wrong = "has buckets whose le does not rise"
    elif any(a.value > b.value for a, b in pairwise(buckets)):
        wrong = "has buckets that fall"
    elif points.index(buckets[-1]) != len(buckets) - 1:
        wrong = "has a bucket after its count or sum"
    elif count and count.value != buckets[-1].value:
        wrong = "has a count that is not its +Inf bucket"
    elif negative and not gauge and total:
        wrong = "has negative buckets and a sum"
    elif (count is None) != (total is None) and not (negative and not gauge):
        wrong = "has one of count and sum without the other"
    elif total and total.value < 0 and not negative:
        wrong = "has a negative sum without negative buckets"
    if wrong:
        raise bad_line(line, f"ends a {family.type} {family.name} that {wrong}", "")


def _real(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(_REAL, text) else None


def _bound(text: str | None) -> float | None:
    return math.inf if text == "+Inf" else _real(text)
