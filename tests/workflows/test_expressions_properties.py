"""Properties of the expression language: no text crashes it, and what is written is read back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from opsroom.workflows.expressions import ExpressionError, as_expression, check, evaluate, interpolate, resolve, truthy
from opsroom.workflows.expressions.values import equal, fold, less, to_number, to_text

CONTEXTS: dict[str, Any] = {"github": {"ref": "main", "n": 1.5, "list": [1, "a", None, {"b": [True]}]}, "a": []}
PIECES = [
    *("(", ")", "[", "]", ".", ",", "*", "!", "!=", "==", "<", "<=", ">", ">=", "&&", "||"),
    *("'x'", "'it''s'", "''", "1", "-1.5", "0xf", "1e9", "NaN", "Infinity", "true", "false", "null"),
    *("github", "a", "ref", "list", "n", "'{0}'", "'[1,{\"a\":2}]'", "' \n '", "$", '"', "'", "${{", "}}"),
    *("format(", "join(", "contains(", "toJSON(", "fromJSON(", "case(", "startsWith("),
]
SOUP = st.lists(st.sampled_from([*PIECES, " "]), max_size=25).map("".join)
TEXTS = st.one_of(st.text(max_size=60), SOUP)
PRIMITIVES = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**14), 10**14) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.tuples(st.text(max_size=5), inner), max_size=4, unique_by=lambda pair: fold(pair[0])).map(dict)
    ),
    max_leaves=20,
)


@given(TEXTS)
def test_no_text_raises_anything_but_an_expression_error(text: str) -> None:
    for act in (lambda: evaluate(text, CONTEXTS), lambda: resolve(text, CONTEXTS), lambda: interpolate(text, CONTEXTS)):
        try:
            act()
        except ExpressionError as error:
            assert "\n" not in str(error)
            assert error.kind in ("lexing", "parsing", "evaluation")


@given(TEXTS)
def test_what_passes_the_check_is_evaluated(text: str) -> None:
    flaws = check(text, allowed_contexts=CONTEXTS)
    try:
        evaluate(text, CONTEXTS)
    except ExpressionError as error:
        assert [error.flaw] == flaws if flaws else error.kind == "evaluation"
    else:
        assert flaws == []


@given(JSON)
def test_json_is_read_back(value: Any) -> None:
    once = evaluate("toJSON(a)", {"a": value})
    assert evaluate("toJSON(fromJSON(a))", {"a": once}) == once
    assert evaluate("fromJSON(toJSON(a))", {"a": value}) == value


@given(st.text())
def test_a_string_literal_is_read_back(text: str) -> None:
    quoted = "'" + text.replace("'", "''") + "'"
    assert evaluate(quoted, {}) == text
    assert evaluate(f"format({quoted.replace('{', '{{').replace('}', '}}')})", {}) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_fifteen_digits(number: float) -> None:
    text = to_text(number)
    assert to_number(text) == float(f"{number:.15g}")
    assert evaluate(text, {}) == to_number(text)


@given(PRIMITIVES, PRIMITIVES)
def test_comparisons_agree(left: Any, right: Any) -> None:
    contexts = {"l": left, "r": right}
    assert evaluate("l == r", contexts) is equal(right, left)
    assert evaluate("l != r", contexts) is not evaluate("l == r", contexts)
    assert evaluate("l <= r", contexts) is (less(left, right) or equal(left, right))
    assert evaluate("l > r", contexts) is evaluate("r < l", contexts)
    assert not (less(left, right) and less(right, left))
    assert evaluate("!!l", contexts) is truthy(left)


@given(st.text())
def test_folding_is_idempotent_and_case_blind(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert equal(text, fold(text))


@given(st.lists(st.text(alphabet="ab'{}$ \n", max_size=8) | st.just("${{ github.ref }}"), max_size=5).map("".join))
def test_a_mixed_text_and_its_expression_say_the_same(text: str) -> None:
    try:
        expression = as_expression(text)
    except ExpressionError:
        return
    if expression is not None:
        try:
            assert to_text(evaluate(expression, CONTEXTS)) == interpolate(text, CONTEXTS)
        except ExpressionError as error:
            assert error.kind in ("lexing", "parsing")
