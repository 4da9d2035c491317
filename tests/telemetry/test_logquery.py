"""The log search language: its tree, its errors, and that nothing of it reaches SQL unquoted."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.kernel.errors import Invalid
from opsroom.telemetry.child.database import literal
from opsroom.telemetry.logquery import And, Not, Or, Term, compile_sql, parse


def test_parses() -> None:
    assert parse('service:checkout AND level:error AND "timed out"') == And(
        (Term("service", "checkout"), Term("level", "error"), Term("", "timed out", phrase=True))
    )
    assert parse("a b OR NOT c") == Or((And((Term("", "a"), Term("", "b"))), Not(Term("", "c"))))
    assert parse("(a OR b) -c") == And((Or((Term("", "a"), Term("", "b"))), Not(Term("", "c"))))
    assert parse("status:>=500") == Term("status", "500", op=">=")
    assert parse('path:"/a b" x*') == And((Term("path", "/a b", phrase=True), Term("", "x*")))
    assert parse("  ") is None


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("(a", 3, "not closed"),
        ("a )", 3, "closes nothing"),
        ("a AND", 6, "ends where a term"),
        ("OR a", 1, "OR stands where"),
        ('a "b', 3, "quote is not closed"),
        ("a b:", 4, "value is missing"),
        ("NOT", 4, "ends where a term"),
        ("a OR )", 6, "')' stands"),
    ],
)
def test_errors_have_a_column(text: str, column: int, what: str) -> None:
    with pytest.raises(Invalid, match=re.escape(what)) as caught:
        parse(text)
    assert f"column {column}:" in str(caught.value)


@given(st.text() | st.text(st.sampled_from("abAND OR()NOT\"'\\:*?->=<1 "), max_size=40))
def test_any_text_is_a_search_or_an_error(text: str) -> None:
    try:
        sql = compile_sql(parse(text), literal)
    except Invalid:
        return
    outside = re.sub(r"'(?:[A-Za-z0-9 _.\-:/]|\\x[0-9a-f]{2})*'", "", sql)
    assert "'" not in outside
    assert re.fullmatch(r"[A-Za-z0-9_ (),\[\]!=<>.+\-]*", outside), outside


@given(st.text())
def test_a_literal_cannot_be_left(text: str) -> None:
    quoted = literal(text)
    assert re.fullmatch(r"'(?:[A-Za-z0-9 _.\-:/]|\\x[0-9a-f]{2})*'", quoted)


def test_nesting_and_length_are_bounded() -> None:
    with pytest.raises(Invalid, match="nested deeper"):
        parse("(" * 500 + "a" + ")" * 500)
    with pytest.raises(Invalid, match="limit is"):
        parse("a" * 10_000)
