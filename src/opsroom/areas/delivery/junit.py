"""JUnit XML, as test tools write it: what passed, failed and was skipped, with the place of every fault of the file.

There is no standard; read is what Ant's junit task, pytest, Gradle, Maven Surefire and Jest agree on: `testsuites` or
`testsuite`, `testcase` with `failure`, `error` or `skipped`. A DOCTYPE is refused, and with it every entity of one's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO
from xml.parsers import expat

from opsroom.kernel.errors import Invalid, Place

TEXT_LIMIT = 4000
NAME_LIMIT = 500
FILE_LIMIT = 64_000_000
CASE_LIMIT = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One test that failed or broke. `text` is the trace, shortened."""

    suite: str
    name: str
    message: str
    text: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What one or several files say. `seconds` is the time of the tests, not of the wall."""

    tests: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()

    def __add__(self, other: Results) -> Results:
        return Results(
            tests=self.tests + other.tests, failed=self.failed + other.failed, skipped=self.skipped + other.skipped,
            seconds=self.seconds + other.seconds, failures=self.failures + other.failures,
        )  # fmt: skip


def read_junit(source: IO[bytes], path: str) -> Results:
    """Invalid names the file, the line and what is wrong: no XML, no JUnit report, a DOCTYPE, or too large."""
    reader = _Reader(path)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    reader.attach(parser)
    size = 0
    try:
        while chunk := source.read(1 << 16):
            size += len(chunk)
            if size > FILE_LIMIT:
                raise Invalid(f"{path} is over the limit of {FILE_LIMIT} bytes; write one report for each part")
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        place = Place(path, error.lineno, error.offset + 1)
        raise Invalid(f"{place}: this is no well-formed XML: {expat.errors.messages[error.code]}") from None
    return reader.results()


@dataclass
class _Case:
    name: str
    suite: str
    file: str
    line: int
    seconds: float
    outcome: str = "passed"
    message: str = ""
    text: list[str] = field(default_factory=list)


class _Reader:
    """Takes the parser's events. Cases are counted, not the numbers a suite claims of itself."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._suites: list[str] = []
        self._case: _Case | None = None
        self._within = ""
        self._seen_root = False
        self._counts = {"passed": 0, "failed": 0, "skipped": 0}
        self._seconds = 0.0
        self._failures: list[Failure] = []
        self._parser: expat.XMLParserType

    def attach(self, parser: expat.XMLParserType) -> None:
        self._parser = parser
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def results(self) -> Results:
        return Results(
            tests=sum(self._counts.values()), failed=self._counts["failed"], skipped=self._counts["skipped"],
            seconds=round(self._seconds, 6), failures=tuple(self._failures),
        )  # fmt: skip

    def _doctype(self, *_: object) -> None:
        raise self._wrong("a report has no DOCTYPE; it could name files and expand without end")

    def _start(self, name: str, given: Mapping[str, str]) -> None:
        tag = name.rpartition(":")[2]
        if not self._seen_root and tag not in ("testsuites", "testsuite"):
            raise self._wrong(f"<{tag}> is no JUnit report, which begins with <testsuites> or <testsuite>")
        self._seen_root = True
        if tag in ("testsuites", "testsuite"):
            self._suites.append(given.get("name", "")[:NAME_LIMIT])
        elif tag == "testcase":
            self._begin_case(given)
        elif self._case is not None and tag in ("failure", "error", "skipped"):
            self._judge(self._case, tag, given)

    def _end(self, name: str) -> None:
        tag = name.rpartition(":")[2]
        if tag in ("testsuites", "testsuite"):
            self._suites.pop()
        elif tag == "testcase":
            self._end_case()
        elif tag == self._within:
            self._within = ""

    def _text(self, text: str) -> None:
        if self._case is not None and self._within in ("failure", "error"):
            self._case.text.append(text)

    def _begin_case(self, given: Mapping[str, str]) -> None:
        if self._case is not None:
            raise self._wrong("a <testcase> stands within another")
        if sum(self._counts.values()) >= CASE_LIMIT:
            raise self._wrong(f"there are more than {CASE_LIMIT} tests; write one report for each part")
        suite = given.get("classname") or next((one for one in reversed(self._suites) if one), "")
        self._case = _Case(
            name=given.get("name", "")[:NAME_LIMIT], suite=suite[:NAME_LIMIT], file=given.get("file", "")[:NAME_LIMIT],
            line=_line(given.get("line", "")), seconds=self._time(given.get("time", "")),
        )  # fmt: skip

    def _judge(self, case: _Case, tag: str, given: Mapping[str, str]) -> None:
        if tag == "skipped":
            case.outcome = "skipped" if case.outcome == "passed" else case.outcome
        else:
            case.outcome = "failed"
            case.message = case.message or given.get("message") or given.get("type", "")
        self._within = tag

    def _end_case(self) -> None:
        case = self._case
        if case is None:
            return
        self._counts[case.outcome] += 1
        self._seconds += case.seconds
        if case.outcome == "failed":
            text = "".join(case.text).strip()
            message = case.message.strip() or text.partition("\n")[0] or "no message"
            self._failures.append(
                Failure(
                    suite=case.suite, name=case.name, message=message[:NAME_LIMIT], text=text[:TEXT_LIMIT], file=case.file,
                    line=case.line,
                )
            )  # fmt: skip
        self._case, self._within = None, ""

    def _time(self, text: str) -> float:
        if not text:
            return 0.0
        try:
            seconds = float(text.replace(",", ""))
        except ValueError:
            raise self._wrong(f"time={text[:40]!r} is no number of seconds") from None
        if not math.isfinite(seconds) or seconds < 0:
            raise self._wrong(f"time={text[:40]!r} is no number of seconds")
        return seconds

    def _wrong(self, what: str) -> Invalid:
        return Invalid(
            f"{Place(self._path, self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1)}: {what}"
        )


def _line(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
