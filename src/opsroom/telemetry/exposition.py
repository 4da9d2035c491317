"""Reads what a target exposes: the Prometheus text format 0.0.4, and OpenMetrics 1.0 through `openmetrics`.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and the OpenMetrics specification.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from opsroom.kernel.errors import Invalid
from opsroom.telemetry.port import Labels, Metadata, labels

CACHE_LINES = 50_000

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_QUOTED = r'"(?:[^"\\\n]|\\.)*"'
_SAMPLE = re.compile(
    rf"[ \t]*({_NAME})?[ \t]*(\{{(?:[^\"}}]|{_QUOTED})*\}})?[ \t]*([^\s{{}}]+)(?:[ \t]+([^\s{{}}]+))?[ \t]*$"
)
_LABEL = re.compile(rf"[ \t]*({_NAME}|{_QUOTED})[ \t]*(?:=[ \t]*({_QUOTED}))?[ \t]*(,|$)")
_TYPES = {"counter", "gauge", "histogram", "summary", "untyped", "unknown", "info", "stateset", "gaugehistogram"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}


@dataclass(frozen=True, slots=True)
class Exposed:
    """One sample as exposed. `time` is in seconds; None: the time of the scrape."""

    labels: Labels
    value: float
    time: float | None


@dataclass(frozen=True, slots=True)
class Exposition:
    """Everything that one scrape exposed."""

    samples: tuple[Exposed, ...]
    metadata: tuple[Metadata, ...] = ()


class Parser:
    """Reads one target's expositions. Keep it between scrapes: it remembers series it has read, up to CACHE_LINES."""

    def __init__(self) -> None:
        self._known: dict[str, Labels] = {}

    def parse(self, body: bytes | str, content_type: str = "") -> Exposition:
        """Reads by content type: OpenMetrics where it says so, the text format otherwise. Raises Invalid with the line."""
        if content_type.partition(";")[0].strip() == "application/openmetrics-text":
            from opsroom.telemetry.openmetrics import parse_openmetrics

            return parse_openmetrics(decoded(body))
        return self.parse_text(decoded(body))

    def parse_text(self, text: str) -> Exposition:
        """Reads the text format 0.0.4. Raises Invalid, which names the line."""
        known, samples = self._known, []
        families: dict[str, list[str]] = {}
        for number, line in enumerate(text.split("\n"), 1):
            head, _, tail = line.rpartition(" ")
            found = known.get(head)
            if found is not None:
                samples.append(Exposed(found, number_of(tail.rstrip("\r"), number), None))
                continue
            line = line.strip()
            if line.startswith("#"):
                _comment(line, number, families)
            elif line:
                samples.append(self._sample(line, head, number))
        metadata = (Metadata(name, kind, text) for name, (kind, text) in families.items())
        return Exposition(tuple(samples), tuple(metadata))

    def _sample(self, line: str, head: str, number: int) -> Exposed:
        found = _SAMPLE.match(line)
        if not found or not (found[1] or found[2]):
            raise bad_line(number, 'is no sample; write name{label="value"} number', line)
        of = labels_of(found[1] or "", (found[2] or "{}")[1:-1], number)
        value = number_of(found[3], number)
        if found[4] is None:
            if len(self._known) >= CACHE_LINES:
                self._known.clear()
            self._known[head.lstrip()] = of
            return Exposed(of, value, None)
        try:
            return Exposed(of, value, int(found[4]) / 1000.0)
        except ValueError:
            raise bad_line(
                number, f"has the time {found[4]!r}, which is no whole number of milliseconds", line
            ) from None


def decoded(body: bytes | str) -> str:
    """Text, or Invalid where the bytes are no UTF-8."""
    if isinstance(body, str):
        return body
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        number = body.count(b"\n", 0, error.start) + 1
        raise Invalid(f"line {number}: byte {error.start} is no UTF-8") from None


def labels_of(name: str, block: str, number: int, *, pair: re.Pattern[str] = _LABEL) -> Labels:
    """The series of a name and the inside of its braces; a quoted first item without a value is the name."""
    pairs: dict[str, str] = {}
    at = 0
    while at < len(block) and block[at:].strip():
        found = pair.match(block, at)
        if not found:
            raise bad_line(number, 'has labels that are not name="value", separated by commas', block[at:])
        key = unescaped(found[1][1:-1]) if found[1].startswith('"') else found[1]
        if found[2] is None:
            if name or not found[1].startswith('"'):
                raise bad_line(number, f"has the label {key} without a value", block)
            name = key
        elif key in pairs:
            raise bad_line(number, f"has the label {key} twice", block)
        else:
            pairs[key] = unescaped(found[2][1:-1])
        at = found.end()
    if not name:
        raise bad_line(number, "has no metric name", block)
    pairs["__name__"] = name
    return labels(pairs)


def unescaped(text: str) -> str:
    """Undoes \\\\, \\" and \\n; any other escape stays as it is written."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), text)


def number_of(text: str, number: int) -> float:
    """A sample's value. Python's own additions (1_000) are refused."""
    if "_" not in text:
        try:
            return float(text)
        except ValueError:
            pass
    raise bad_line(number, f"has the value {text!r}, which is no number", "")


def bad_line(number: int, what: str, line: str) -> Invalid:
    shown = f": {line[:80]!r}" if line else ""
    return Invalid(f"line {number} {what}{shown}")


def _comment(line: str, number: int, families: dict[str, list[str]]) -> None:
    """`# TYPE name type` and `# HELP name text`; any other comment is one."""
    words = line.split(None, 3)
    if len(words) < 3 or words[0] != "#" or words[1] not in {"TYPE", "HELP"}:
        return
    name = unescaped(words[2][1:-1]) if words[2].startswith('"') else words[2]
    known = families.setdefault(name, ["unknown", ""])
    rest = words[3] if len(words) > 3 else ""
    if words[1] == "HELP":
        known[1] = unescaped(rest)
    elif rest.strip() in _TYPES:
        known[0] = "unknown" if rest.strip() == "untyped" else rest.strip()
    else:
        raise bad_line(number, f"gives {name} the type {rest!r}; the types are {', '.join(sorted(_TYPES))}", "")
