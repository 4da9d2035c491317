"""Log lines by pattern: what is one, what is counted, and what is new since a moment."""

from __future__ import annotations

import pytest

from opsroom.areas.observability.patterns import READ, pattern_of, patterns_in
from opsroom.telemetry.port import LogPage, LogRecord


class Lines:
    """A store that knows the words of a search, which is all patterns need."""

    def __init__(self, *records: LogRecord) -> None:
        self.records = sorted(records, key=lambda one: -one.time)

    def search_logs(self, query: str, start: float, end: float, *, limit: int = 100, before: str = "") -> LogPage:
        words = [word.strip('"') for word in query.replace("(", " ").replace(")", " ").split() if word.startswith('"')]
        found = [one for one in self.records if start <= one.time < end and all(word in one.message for word in words)]
        return LogPage(records=tuple(found[:limit]), before="more" if len(found) > limit else "")


def line(time: float, message: str, level: str = "info") -> LogRecord:
    return LogRecord(time=time, message=message, service="storefront", level=level)


@pytest.mark.parametrize(
    ("message", "pattern"),
    [
        ("GET /stock 200", "GET /stock …"),
        ("took 12.5 ms from 127.0.0.1:8080", "took … ms from …"),
        ("order 4bf92f3577b34da6a3ce929d0e0e4736 is paid", "order … is paid"),
        ("user 123e4567-e89b-12d3-a456-426614174000 left\nTraceback", "user … left"),
        ("a deadbeef feed", "a deadbeef feed"),
        ("", ""),
    ],
)
def test_what_varies_is_left_out(message, pattern):
    assert pattern_of(message) == pattern


def test_lines_are_counted_and_new_ones_stand_first():
    told = [line(10 + at, f"GET / {at}") for at in range(50)]
    told += [line(90, "cannot reach stock 7", "error"), line(91, "restarted")]
    before = [line(1, "restarted")]
    found = patterns_in(Lines(*told, *before), "", 20, 100, since=60)
    assert [(row.text, row.count, row.new) for row in found.rows] == [
        ("cannot reach stock …", 1, True), ("GET / …", 40, False), ("restarted", 1, False),
    ]  # fmt: skip
    assert (found.lines, found.more) == (42, False)


def test_without_a_deployment_nothing_is_new():
    assert [row.new for row in patterns_in(Lines(line(5, "started")), "", 0, 10, since=None).rows] == [None]


def test_what_cannot_be_told_is_unknown():
    many = [line(1, f"other thing failed {'x' * (at % 7)}y{at}z") for at in range(READ + 1)]
    found = patterns_in(Lines(line(20, "failed"), *many), "", 10, 30, since=15)
    assert [(row.text, row.new) for row in found.rows] == [("failed", None)]


def test_the_same_words_of_another_level_are_another_pattern():
    found = patterns_in(Lines(line(20, "slow", "error"), line(5, "slow")), "", 10, 30, since=15)
    assert [(row.level, row.new) for row in found.rows] == [("error", True)]
