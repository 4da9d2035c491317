"""The helpers of parts: formats, small drawings, the job graph, terminal colours, logs, differences."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.contracts import formats
from opsroom.contracts.formats import person
from opsroom.surfaces.web.ansi import to_html, to_text
from opsroom.surfaces.web.diffs import diff_of, parse_diff
from opsroom.surfaces.web.graph import GraphJob, layout
from opsroom.surfaces.web.live import as_types, matches
from opsroom.surfaces.web.logs import failing_line, log_rows
from opsroom.surfaces.web.parts import bars, column, sort_rows, sparkline, state_of
from opsroom.surfaces.web.scope import default_since, with_query
from opsroom.surfaces.web.templates import _below
from opsroom.workflows.protocol import LogLine

SPACE = "\xa0"
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (1234, "1,234"), (12.345, "12.3"), (0.01234, "0.0123"), (0.00001, "1e-05"), (999.7, "1,000"), (-2.5, "−2.5"), (float("nan"), "–")],
)  # fmt: skip
def test_numbers(value, text):
    assert formats.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0, "0 s"), (0.00074, "740 µs"), (0.0123, "12.3 ms"), (3.44, "3.4 s"), (59.96, "1 min"), (125.4, "2 min 5 s"), (12000, "3 h 20 min"), (4 * 86400 + 6 * 3600, "4 d 6 h"), (-3, "−3 s")],
)  # fmt: skip
def test_durations(seconds, text):
    assert formats.duration(seconds).replace(SPACE, " ") == text


@pytest.mark.parametrize(
    ("micros", "text"),
    [(None, "–"), (0, "€0.00"), (12_340_000, "€12.34"), (420, "€0.00042"), (-5_000_000, "−€5.00"), (1_234_567_890_000, "€1,234,567.89")],
)  # fmt: skip
def test_money(micros, text):
    assert formats.money(micros) == text


def test_sizes_and_shares():
    assert formats.size(1_250_000) == f"1.25{SPACE}MB"
    assert formats.size(999) == f"999{SPACE}B"
    assert formats.share(0.0123) == f"1.23{SPACE}%"


def test_times():
    assert formats.ago(NOW - timedelta(minutes=4), NOW) == f"4{SPACE}min ago"
    assert formats.ago(NOW + timedelta(days=3), NOW) == f"in 3{SPACE}d"
    assert formats.ago(NOW, NOW) == "just now"
    assert formats.ago(None, NOW) == "–"


@pytest.mark.parametrize(
    ("minutes", "since"), [(None, "5m"), (0, "5m"), (4, "5m"), (12, "15m"), (20, "30m"), (45, "1h"), (60_000, "1h")]
)
def test_a_young_installation_shows_its_whole_life(minutes, since):
    born = None if minutes is None else NOW - timedelta(minutes=minutes)
    assert default_since(born, NOW) == since


def test_headings_of_a_text_stand_below_those_of_its_page():
    assert _below('<h1 id="a">x</h1><h2>y</h2>') == '<h3 id="a">x</h3><h4>y</h4>'
    assert _below("<h3>x</h3><hr><p>h1</p>") == "<h3>x</h3><hr><p>h1</p>"


def test_actors_are_named_as_people_say_them():
    assert [person(one) for one in ("person:maria", "system:cost", "run:run_01m83", "git:x@y")] == [
        "maria", "cost", "a run", "git:x@y",
    ]  # fmt: skip


def test_short_ids():
    assert formats.short("3f2a1c9d4e5f60718293a4b5c6d7e8f901234567") == "3f2a1c9"
    assert formats.short("sha256:" + "ab" * 32) == "abababababab"
    assert formats.short("storefront") == "storefront"
    assert formats.short("run_01m83kk5281bdbnj3nmprt") == "…3nmprt"
    assert formats.shas(f"storefront {'3f2a1c9d4e5f6071' * 2}{'8293a4b5'} #3") == "storefront 3f2a1c9d4e5f #3"


@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(["", "s", "%"]))
def test_every_number_can_be_written(value, unit):
    assert formats.number(value, unit)
    if abs(value) < 1e12:
        assert formats.duration(value)


def test_states():
    assert state_of("SUCCESS") == "ok" and state_of("firing") == "failed" and state_of("who knows") == "unknown"


def test_rows_are_sorted_and_what_is_unknown_comes_last():
    rows = [{"n": 2}, {"n": None}, {"n": 3}, {"n": 1}]
    columns = [column("N", "n")]
    assert [row["n"] for row in sort_rows(rows, columns, "n")] == [1, 2, 3, None]
    assert [row["n"] for row in sort_rows(rows, columns, "-n")] == [3, 2, 1, None]
    assert sort_rows(rows, columns, "other") == rows


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=40))
def test_sparklines_stay_in_their_box(values):
    drawn = sparkline(values)
    if drawn is None:
        assert sum(value is not None for value in values) < 2
        return
    for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", drawn.line):
        assert 0 <= float(x) <= 80 and 0 <= float(y) <= 20


def test_bars_start_at_zero():
    drawn = bars([1, None, 4], height=24)
    assert [bar.height for bar in drawn] == [6.0, 0.0, 24.0]


@st.composite
def graphs(draw):
    count = draw(st.integers(0, 12))
    ids = [f"j{number}" for number in range(count)]
    return [GraphJob(id=id, name=id, needs=tuple(draw(st.lists(st.sampled_from(ids), max_size=3)))) for id in ids]


@given(graphs())
def test_jobs_do_not_overlap_and_edges_run_forward(jobs):
    drawn = layout(jobs)
    places = {(node.x, node.y) for node in drawn.nodes}
    assert len(places) == len(jobs)
    for node in drawn.nodes:
        assert node.x + drawn.node_width <= drawn.width and node.y + drawn.node_height <= drawn.height


def test_many_columns_are_drawn_narrow():
    chain = [GraphJob(id=str(number), name="job", needs=(str(number - 1),)) for number in range(6)]
    wide, narrow = layout(chain[:4]), layout(chain)
    assert not wide.compact and narrow.compact
    assert wide.width < 980 and narrow.width < 980


def test_a_chain_has_a_column_for_each():
    drawn = layout(
        [
            GraphJob(id="b", name="b", needs=("a",)),
            GraphJob(id="a", name="a"),
            GraphJob(id="c", name="c", needs=("a", "b")),
        ]
    )
    x = {node.job.id: node.x for node in drawn.nodes}
    assert x["a"] < x["b"] < x["c"]
    assert len(drawn.edges) == 3


def test_colours_carry_over_lines():
    html, style = to_html("\x1b[1;31mred <b>")
    assert html == '<span class="ansi-b ansi-red">red &lt;b&gt;</span>'
    again, style = to_html("still\x1b[0m plain", style)
    assert again == '<span class="ansi-b ansi-red">still</span> plain'


@pytest.mark.parametrize(
    ("text", "classes"),
    [("\x1b[38;5;196mx", "ansi-red"), ("\x1b[38;2;10;200;10mx", "ansi-green"), ("\x1b[48;5;21mx", "ansi-on-blue"), ("\x1b[97mx", "ansi-white")],
)  # fmt: skip
def test_more_colours(text, classes):
    assert to_html(text)[0] == f'<span class="{classes}">x</span>'


@given(st.text(alphabet=st.sampled_from("ab<&\"'\x1b[]0123456789;:mKHJ?\x07\\\r\x00"), max_size=60))
def test_no_terminal_text_breaks_out(text):
    html, _ = to_html(text)
    bare = re.sub(r'</?span(?: class="[a-z -]*")?>', "", str(html))
    assert "<" not in bare and "\x1b" not in bare
    assert "\x1b" not in to_text(text)


def _lines(*pairs):
    return [LogLine(at="", step=0, text=text, stream=stream) for stream, text in pairs]


def test_groups_fold_unless_an_error_is_inside():
    rows = log_rows(
        _lines(
            ("group", "fine"),
            ("out", "a"),
            ("endgroup", ""),
            ("group", "bad"),
            ("error", "b"),
            ("endgroup", ""),
            ("out", "c"),
        )
    )
    assert [(row.number, row.kind, row.group, row.folded) for row in rows] == [
        (1, "group", "", True), (2, "out", "1", False), (4, "group", "", False), (5, "error", "4", False), (7, "out", "", False),
    ]  # fmt: skip
    assert failing_line(rows) == 5


def test_a_new_step_closes_groups():
    rows = log_rows([LogLine(at="", step=0, text="g", stream="group"), LogLine(at="", step=1, text="x")])
    assert rows[1].group == ""


def test_differences():
    lines = diff_of("a\nb\nc\n", "a\nB\nc\n")
    assert [(line.kind, line.text, line.old, line.new) for line in lines if line.kind != "hunk"] == [
        ("same", "a", 1, 1), ("removed", "b", 2, 0), ("added", "B", 0, 2), ("same", "c", 3, 3),
    ]  # fmt: skip
    assert diff_of("a\n", "a\n") == []


def test_a_removed_line_that_looks_like_a_header():
    lines = parse_diff("--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1,1 @@\n--- comment\n select 1\n")
    assert [(line.kind, line.text) for line in lines] == [
        ("file", "--- a/x.sql"), ("file", "+++ b/x.sql"), ("hunk", "@@ -1,2 +1,1 @@"), ("removed", "-- comment"), ("same", "select 1"),
    ]  # fmt: skip


def test_queries():
    assert with_query("/a?x=1#y", {"since": "1h"}, {"team": "", "z": None}) == "/a?x=1&since=1h#y"
    assert as_types("run,deployment.,incident.opened,") == ("run.", "deployment.", "incident.opened")
    assert matches("run.finished", ("run.",)) and not matches("runner.registered", ("run.",)) and matches("x.y", ())
