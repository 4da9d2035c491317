"""Any expression: a range is the same as its instants one by one, and nothing but a UserError is ever raised."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsroom.kernel.errors import Invalid, TooLarge, UserError
from opsroom.telemetry.limits import Limits
from opsroom.telemetry.port import STALE, labels
from opsroom.telemetry.promql.engine import query, query_range
from opsroom.telemetry.promql.numbers import format_number
from opsroom.telemetry.promql.source import MemorySource

LIMITS = Limits(query_points=200_000)


def generated() -> MemorySource:
    chance, source = random.Random(3), MemorySource()
    for name in ("a", "b"):
        for i in range(4):
            value, points = 10.0 * i, []
            for step in range(80):
                value = chance.choice([value + 5, value, 0.0, -value, value + 0.25])
                if chance.random() < 0.9:
                    special = chance.choice([math.nan, math.inf, STALE, value]) if chance.random() < 0.1 else value
                    points.append((step * 10_000 + chance.randrange(9_000), special))
            source.add(
                labels({"__name__": name, "i": str(i), "g": str(i % 2), "le": ("1", "2", "+Inf", "x")[i]}), points
            )
    return source


SOURCE = generated()
selectors = st.sampled_from(
    ["a", "b", 'a{i="1"}', '{__name__=~"a|b"}', 'b{i!~"0|1"}', "a offset 35s", "b @ 300", "a @ end()", "nothing"]
)
spans = st.sampled_from(["30s", "95s", "5m"])
numbers = st.sampled_from(["0", "0.5", "-2", "3", "NaN", "Inf", "time()", "scalar(a)", "2 ^ 0.5"])
over_range = st.sampled_from(
    [
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "deriv",
        "changes",
        "resets",
        "avg_over_time",
        "sum_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "last_over_time",
        "first_over_time",
        "present_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "mad_over_time",
        "ts_of_max_over_time",
        "ts_of_last_over_time",
        "absent_over_time",
    ]
)
of_vector = st.sampled_from(
    [
        "abs",
        "ceil",
        "exp",
        "ln",
        "sgn",
        "round",
        "timestamp",
        "minute",
        "month",
        "days_in_month",
        "absent",
        "sort_desc",
        "sqrt",
        "sum",
        "avg",
        "stdvar",
        "count",
        "max",
        "min",
        "group",
    ]
)


def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(
        ["+", "-", "*", "/", "%", "^", "==", "> bool", "<=", "!=", "and", "or", "unless", "atan2"]
    )
    matching = st.sampled_from(["", "on (i)", "ignoring (le)", "on (g) group_left ()", "on () group_right (g)"])
    return st.one_of(
        st.builds(lambda f, v: f"{f}({v})", of_vector, inner),
        st.builds(lambda f, v, r: f"{f}(({v})[{r}:17s])", over_range, inner, spans),
        st.builds(lambda a, o, m, b: f"({a}) {o.split(' bool')[0]}{' bool' * ('bool' in o)} {m} ({b})", inner, operators, matching, inner),
        st.builds(lambda o, n, v: f"({v}) {o} ({n})", st.sampled_from(["+", ">", "== bool", "%"]), numbers, inner),
        st.builds(lambda f, n, v: f"{f} by (g) ({n}, {v})", st.sampled_from(["topk", "bottomk", "quantile", "limitk"]), numbers, inner),
        st.builds(lambda n, v: f"histogram_quantile({n}, {v})", numbers, inner),
        st.builds(lambda n, v, r: f"quantile_over_time({n}, ({v})[{r}:20s])", numbers, inner, spans),
        st.builds(lambda v: f'label_replace({v}, "i", "$1", "le", "(.).*")', inner),
        st.builds(lambda v: f"-({v})", inner),
        st.builds(lambda v, n: f"clamp({v}, {n}, 9)", inner, numbers),
    )  # fmt: skip


expressions = st.recursive(
    selectors
    | st.builds(
        lambda f, s, r: f"{f}({s.split(' ')[0]}[{r}]{s[len(s.split(' ')[0]) :]})", over_range, selectors, spans
    ),
    grow,
    max_leaves=5,
)


@settings(max_examples=120, deadline=None)
@given(expressions)
def test_a_range_is_its_instants(expression: str) -> None:
    start, step, steps = 250, 45, 8
    instants: dict[tuple[object, float], str] = {}
    end = start + step * (steps - 1)
    if "end()" in expression:
        expression = expression.replace("end()", str(end))
    failed = False
    for k in range(steps):
        at = float(start + k * step)
        try:
            result = query(SOURCE, expression, at, LIMITS)
        except Invalid:
            failed = True
            continue
        except TooLarge:
            return
        instants |= {(p.labels, at): rounded(p.values[0]) for p in result.series}
    try:
        ranged = query_range(SOURCE, expression, start, end, step, LIMITS)
    except Invalid:
        assert failed or "NaN" in expression or "scalar" in expression, expression
        return
    except TooLarge:
        return
    assert not failed, expression
    found = {(p.labels, t): rounded(v) for p in ranged.series for t, v in zip(p.times, p.values, strict=True)}
    assert found == instants


def rounded(value: float) -> str:
    return f"{value:.9g}" if math.isfinite(value) else format_number(value)


@given(st.text() | st.text(st.sampled_from('ab{}[]()"=~!+-*/^@,:. 15msoffetby'), max_size=30))
def test_any_text_is_evaluated_or_refused(text: str) -> None:
    try:
        query(SOURCE, text, 300.0, LIMITS)
    except UserError as error:
        assert "\n" not in str(error)


@given(st.floats())
def test_numbers_read_back(value: float) -> None:
    text = format_number(value)
    assert "e" not in text
    assert repr(float(text)) == repr(value) or math.isnan(value)


@pytest.mark.parametrize(
    ("start", "end", "step", "message"),
    [
        (0, 10, 0, "step 0"),
        (10, 0, 1, "end 0 lies before"),
        (0, 1e6, 1, "1,000,001 steps"),
        (float("nan"), 1, 1, "no|not a time"),
    ],
)
def test_bad_ranges(start: float, end: float, step: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        query_range(SOURCE, "a", start, end, step, Limits())
