"""The expression language: what the published cases leave open, limits, conditions, templates, static checks."""

from __future__ import annotations

import math
import time
from types import MappingProxyType
from typing import Any, get_args

import pytest

from opsroom.workflows.expressions import (
    ExpressionError,
    Function,
    Status,
    as_expression,
    check,
    check_text,
    condition,
    evaluate,
    expressions_in,
    interpolate,
    references,
    references_in,
    resolve,
    with_implicit_success,
)

GITHUB = {"github": {"ref": "refs/heads/main", "event_name": "push", "event": {"labels": [{"name": "bug"}, {"id": 1}]}}}


def refused(text: str, contexts: dict[str, Any] | None = None, **options: Any) -> tuple[str, str]:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, contexts or {}, **options)
    return caught.value.kind, caught.value.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        (" \t\n ", None),
        ("'it''s ''so'''", "it's 'so'"),
        ("''''", "'"),
        ("1.", 1),
        ("+.5e1", 5),
        ("0xFFFFFFFF", 4294967295),
        ("1e999", math.inf),
        ("format('{0}', 1e15)", "1E+15"),
        ("format('{0}', 999999999999999)", "999999999999999"),
        ("format('{0}', 1e-7)", "1E-07"),
        ("format('{0}', 0.0001)", "0.0001"),
        ("format('{0}', 3.14159265358979312)", "3.14159265358979"),
        ("'\u00a0 12 \t' == 12", True),
        ("'1_000' == 1000", False),
        ("'0b11' == 3", False),
        ("'ß' == 'SS'", False),
        ("'STRASSE' == 'straße'", False),
        ("'a' < 'B'", True),
        ("null <= null", True),
        ("null < null", False),
        ("null > null", False),
        ("!null == 'x'", False),
        ("1 == 1 == 1", True),
        ("1 && (2 && (3 && 4))", 4),
        ("join(fromJSON('[1,true,null,\"a\"]'), '-')", "1-true--a"),
        ("contains(fromJSON('{\"a\":1}'), 'a')", False),
        ("contains('abc', fromJSON('[]'))", False),
        ("contains(fromJSON('[\"Bug\"]'), 'bUG')", True),
        ("contains('x1.5y', 1.5)", True),
        ("startsWith(fromJSON('[]'), 'A')", False),
        ("endsWith(123, '23')", True),
        ("toJSON('\u2028\u00e9\x01/')", '"\\u2028é\\u0001/"'),
        ("toJSON(fromJSON('{\"a\":[1,{\"b\":[]}],\"c\":{}}'))", '{\n  "a": [\n    1,\n    {\n      "b": []\n    }\n  ],\n  "c": {}\n}'),
        ("toJSON(fromJSON('{\"a\":1,\"A\":2}'))", '{\n  "a": 1\n}'),
        ("toJSON(fromJSON('{\"a\":1,\"a\":2}'))", '{\n  "a": 2\n}'),
        ("fromJSON('123456789012345678')", 123456789012345680.0),
        ("fromJSON(' 1 ')", 1),
        ("fromJSON(true)", True),
        ("fromJSON(null || '2')", 2),
        ("format('{0}{1}{0}', 'a', true)", "atruea"),
        ("format('{{}}{0}', '{1}')", "{}{1}"),
        ("format('none', fromJSON('not evaluated'))", "none"),
        ("case(true, 1, fromJSON('not evaluated'))", 1),
        ("CASE(false, 1, 2)", 2),
        ("true || fromJSON('not evaluated')", True),
        ("false && fromJSON('not evaluated')", False),
        ("github.missing[fromJSON('not evaluated')]", None),
        ("(github).ref", "refs/heads/main"),
        ("github . event\n['labels'] [0] .NAME", "bug"),
        ("github['event'].labels.*.name", ["bug"]),
        ("(github.event.labels.*)[0]", []),
        ("github.event.labels['0x1'].id", 1),
        ("github.event.labels[0.9].name", "bug"),
        ("github.missing.deeper['still']", None),
        ("github.*.*", [[{"name": "bug"}, {"id": 1}]]),
    ],
)  # fmt: skip
def test_value(text: str, value: Any) -> None:
    found = evaluate(text, GITHUB)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("join('a',)", "parsing", "Unexpected symbol: ')'. Located at position 10"),
        ("join(,'a')", "parsing", "Unexpected symbol: ','. Located at position 6"),
        ("join('a'", "parsing", "Unexpected end of expression: ''a''. Located at position 6"),
        ("github[", "parsing", "Unexpected end of expression: '['. Located at position 7"),
        ("github.", "parsing", "Unexpected end of expression: '.'. Located at position 7"),
        ("github[]", "parsing", "Unexpected symbol: ']'. Located at position 8"),
        ("github[* 1]", "parsing", "Unexpected symbol: '1'. Located at position 10"),
        ("*", "parsing", "Unexpected symbol: '*'. Located at position 1"),
        (")", "parsing", "Unexpected symbol: ')'. Located at position 1"),
        ("!", "parsing", "Unexpected end of expression: '!'. Located at position 1"),
        ("github.ref(1)", "parsing", "Unexpected symbol: '('. Located at position 11"),
        ("'abc'[0]", "parsing", "Unexpected symbol: '['. Located at position 6"),
        ("1 -1", "parsing", "Unexpected symbol: '-1'. Located at position 3"),
        ("github (1)", "parsing", "Unrecognized function: 'github'. Located at position 1"),
        ("join", "parsing", "Unrecognized named-value: 'join'. Located at position 1"),
        ("success()", "parsing", "Unrecognized function: 'success'. Located at position 1"),
        ("toJSON()", "parsing", "Too few parameters supplied: 'toJSON'. Located at position 1"),
        ("'a'.length", "lexing", "Unexpected symbol: '.length'. Located at position 4"),
        ("github..ref", "lexing", "Unexpected symbol: '.ref'. Located at position 8"),
        ("1*2", "lexing", "Unexpected symbol: '1*2'. Located at position 1"),
        ('"a"', "lexing", "Unexpected symbol: '\"a\"'. Located at position 1"),
        ("'foo''", "lexing", "Unexpected symbol: ''foo'''. Located at position 1"),
        ("fromJSON('')", "evaluation", "Error parsing fromJson: Expecting value"),
        ("fromJSON('NaN')", "evaluation", "Error parsing fromJson: NaN is not JSON"),
        ("fromJSON('{''a'': 1}')", "evaluation", "Error parsing fromJson"),
        ("fromJSON(github)", "evaluation", "Error parsing fromJson"),
        ("format('{x}', 1)", "evaluation", "The following format string is invalid: {x}"),
        ("format('{256}', 1)", "evaluation", "The following format string is invalid: {256}"),
        ("format('{0:x}', 1)", "evaluation", "The format specifiers 'x' are not valid for objects of type 'Number'"),
        ("format('{1}', fromJSON(''))", "evaluation", "The following format string references more arguments"),
    ],
)
def test_refusal(text: str, kind: str, message: str) -> None:
    found = refused(text, GITHUB)
    assert found[0] == kind
    assert message in found[1]


def test_errors_are_one_line_and_name_the_way_out() -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate("githib.ref ==\n 'x'", GITHUB)
    assert caught.value.message == (
        "Unrecognized named-value: 'githib'. Located at position 1 within expression: githib.ref ==\n 'x'"
    )
    assert str(caught.value).splitlines() == [str(caught.value)]
    assert "did you mean 'github'?" in str(caught.value)
    assert caught.value.position == 1


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "1" + ")" * 10_000,
        "(" * 20_000,
        "!" * 20_000 + "1",
        "[" * 20_000,
        "github" + "[github" * 2_900,
        "toJSON(" * 2_900,
        "1" + " == 1" * 4_000,
        "github" + ".a" * 10_000,
    ],
)
def test_deep_nesting_is_refused_and_never_crashes(text: str) -> None:
    assert refused(text, GITHUB)[0] == "parsing"


def test_long_chains_are_no_depth() -> None:
    assert evaluate("1" + " && 1" * 4_000, {}) == 1


def test_length_is_limited() -> None:
    assert evaluate("'" + "a" * 20_998 + "'", {}) == "a" * 20_998
    assert refused("'" + "a" * 20_999 + "'") == ("lexing", "Exceeded max expression length 21000")


def test_memory_is_limited_before_it_is_taken() -> None:
    big = {"a": {"text": "x" * 100_000}, "n": [["y" * 1000] * 1000] * 1000}
    for text in (
        f"format('{'{0}' * 255}', a.text)",
        "join(n[0], a.text)",
        "toJSON(n)",
        "n.*.*.*",
        "toJSON(a) != toJSON(a) || format('{0}{0}{0}{0}{0}{0}', toJSON(a)) == ''",
    ):
        kind, message = refused(text, big)
        assert kind == "evaluation"
        assert (
            message == f"The maximum allowed memory size was exceeded while evaluating the following expression: {text}"
        )
    assert evaluate("contains(toJSON(a), 'x') && " * 20 + "true", big) is True
    assert refused("a.text == 'x' || toJSON(a)", big, max_bytes=1000)[0] == "evaluation"


def test_hostile_texts_are_read_in_linear_time() -> None:
    contexts = {"a": "{{" * 250_000, "s": " " * 500_000 + "1" + " " * 500_000 + "x", "j": "[" * 400_000}
    started = time.process_time()
    refused("format(format('{0}', a))", {"a": "x" * 2_000_000})
    assert evaluate("format(a) == 'x'", contexts) is False
    assert evaluate("s == 1", contexts) is False
    assert refused("fromJSON(j)", contexts) == (
        "evaluation",
        "Error parsing fromJson: nested deeper than 100 levels",
    )
    with pytest.raises(ExpressionError, match="not closed"):
        interpolate("${{" + "''" * 500_000, {})
    keys = {f"k{number}": number for number in range(20_000)}
    assert len(resolve({"${{ insert }}": "${{ keys }}"}, {"keys": keys})) == 20_000
    assert time.process_time() - started < 2


def test_json_depth() -> None:
    assert evaluate("toJSON(fromJSON(a))", {"a": "[" * 100 + "]" * 100}) is not None
    assert refused("fromJSON(a)", {"a": "[" * 101 + "]" * 101})[0] == "evaluation"


def test_contexts_may_be_any_mapping_and_exact_case_wins() -> None:
    env = MappingProxyType({"http_proxy": "a", "HTTP_PROXY": "b"})
    assert evaluate("format('{0}{1}{2}', ENV.http_proxy, env.HTTP_PROXY, env.Http_Proxy)", {"env": env}) == "aba"


def test_numbers_of_contexts_are_doubles() -> None:
    contexts = {"a": 9007199254740993, "b": 9007199254740992, "c": 10**400}
    assert evaluate("a == b", contexts) is True
    assert evaluate("format('{0}', c)", contexts) == "Infinity"
    assert evaluate("b", {"b": 3.0}) == 3


def test_a_context_holds_only_values_of_the_language() -> None:
    with pytest.raises(TypeError, match="set is no value"):
        evaluate("a == 1", {"a": {1}})


def test_allowed_names_contexts_that_are_absent() -> None:
    assert evaluate("vars.x", {}, allowed=["vars"]) is None
    assert "Unrecognized named-value: 'github'" in refused("github.ref", GITHUB, allowed=["vars"])[1]


def test_functions_of_the_caller() -> None:
    functions = {"hashFiles": Function(call=lambda *patterns: "+".join(patterns), least=1)}
    assert evaluate("hashfiles('a', 'b')", {}, functions=functions) == "a+b"
    assert "Too few parameters supplied: 'hashFiles'" in refused("hashFiles()", functions=functions)[1]


# conditions


@pytest.mark.parametrize(
    ("text", "runs_on"),
    [
        ("", {"success"}),
        ("  ", {"success"}),
        ("true", {"success"}),
        ("${{ 0 || 1 }}", {"success"}),
        ("false", set()),
        ("always()", {"success", "failure", "cancelled", "skipped"}),
        ("!cancelled()", {"success", "failure", "skipped"}),
        ("${{ failure() }}", {"failure"}),
        ("cancelled() || Failure()", {"failure", "cancelled"}),
        ("github.ref == 'refs/heads/main'", {"success"}),
        ("'success()' == 'x' || true", {"success"}),
        ("!${{ false }}", {"success"}),
        ("success('build')", {"success", "failure", "cancelled", "skipped"}),
        ("failure('build', 'lint')", {"success", "failure", "cancelled", "skipped"}),
        ("success('build', 'gone')", set()),
    ],
)
def test_condition(text: str, runs_on: set[str]) -> None:
    contexts = {**GITHUB, "needs": {"build": {"result": "success"}, "lint": {"result": "failure"}}}
    assert {one for one in get_args(Status) if condition(text, contexts, status=one)} == runs_on


def test_a_condition_that_would_not_run_is_checked_all_the_same() -> None:
    with pytest.raises(ExpressionError, match="Unrecognized named-value: 'steps'. Located at position 1"):
        condition("steps.x == 1", {}, status="failure")
    assert condition("steps.x == 1", {}, status="failure", allowed=["steps"]) is False


def test_the_implicit_success_as_github_writes_it() -> None:
    assert with_implicit_success("${{ github.foo == 'bar' }}") == "success() && (github.foo == 'bar')"
    assert with_implicit_success("") == "success()"
    assert with_implicit_success("false || (always() && true)") == "false || (always() && true)"


# templates


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("${{ 1 }}", 1),
        (" ${{ 1 }}", " 1"),
        ("a ${{ github.ref }} b ${{ true }}", "a refs/heads/main b true"),
        ("${{ '}}' }}", "}}"),
        ("${{ '${{ escaped }}' }}", "${{ escaped }}"),
        ("${{ 'it''s' }}", "it's"),
        ("${{ github.event }}!", "Object!"),
        ("${{ github.event.labels }}", [{"name": "bug"}, {"id": 1}]),
        ({"a": ["${{ null }}", 1, None, True]}, {"a": [None, 1, None, True]}),
        ({"${{ github.ref }}": 1}, {"refs/heads/main": 1}),
        ({"x": 1, "${{ insert }}": "${{ fromJSON('{\"y\": 2}') }}"}, {"x": 1, "y": 2}),
    ],
)
def test_resolve(raw: Any, value: Any) -> None:
    assert resolve(raw, GITHUB) == value


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("${{ github.ref", "The expression is not closed. An unescaped ${{ sequence was found"),
        ("${{ 'a }}", "The expression is not closed."),
        ("a ${{ }}", "An expression was expected"),
        ({"x": 1, "${{ insert }}": {"X": 2}}, "'X' is already defined"),
        ({"${{ insert }}": 1}, "A mapping was expected"),
        ({"${{ github.event.labels }}": 1}, "A sequence was not expected"),
    ],
)
def test_resolve_refuses(raw: Any, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        resolve(raw, GITHUB)
    assert message in caught.value.message


def test_resolve_refuses_what_is_too_deep() -> None:
    raw: Any = "x"
    for _ in range(101):
        raw = [raw]
    with pytest.raises(ExpressionError, match="Exceeded max depth 100"):
        resolve(raw, {})


def test_interpolate_gives_text_or_says_why_not() -> None:
    assert interpolate("${{ 1.50 }}/${{ null }}/${{ false }}", {}) == "1.5//false"
    with pytest.raises(ExpressionError, match="A mapping was not expected; write toJSON"):
        interpolate("${{ github }}", GITHUB)
    with pytest.raises(ExpressionError, match="maximum allowed memory"):
        interpolate("${{ a }}" * 10, {"a": "x" * 100_000}, max_bytes=1_000_000)


def test_a_text_as_one_expression() -> None:
    assert as_expression("plain") is None
    assert as_expression("${{ github.sha }}") == "github.sha"
    assert as_expression("it's {${{ a }}} ${{ b }}") == "format('it''s {{{0}}} {1}', a, b)"
    assert evaluate(str(as_expression("it's {${{ 1 }}} ${{ 2 }}")), {}) == "it's {1} 2"


# static checks


def test_check_says_the_first_thing_wrong_as_github_does() -> None:
    assert check("github.ref", allowed_contexts=["github"]) == []
    assert check("anything.at.all") == []
    (flaw,) = check("secrets.foo", allowed_contexts=["github", "inputs"])
    assert flaw.message == "Unrecognized named-value: 'secrets'. Located at position 1 within expression: secrets.foo"
    assert flaw.position == 1
    (flaw,) = check("withJson()", allowed_contexts=[])
    assert flaw.message == "Unrecognized function: 'withJson'. Located at position 1 within expression: withJson()"
    broken = "(steps.publish-pdf.outcome != 'Skipped' || steps.publish-json.outcome != 'Skipped) && success()"
    (flaw,) = check(broken, allowed_contexts=["steps"], allowed_functions=["success(0,0)"])
    assert flaw.message == (
        f"Unexpected symbol: ''Skipped) && success()'. Located at position 74 within expression: {broken}"
    )


def test_check_knows_the_functions_of_the_schema() -> None:
    schema = ["hashFiles(1,255)", "success(0,MAX)", "always(0,0)"]
    assert check("hashFiles('a') == success('b', 'c') && always()", allowed_functions=schema) == []
    assert "Too many parameters" in check("always(1)", allowed_functions=schema)[0].message
    assert "Too few parameters" in check("hashFiles()", allowed_functions=["hashFiles"])[0].message
    assert "Unrecognized function: 'failure'" in check("failure()", allowed_functions=schema)[0].message


def test_check_text_places_every_flaw() -> None:
    flaws = check_text("a ${{ x }} ${{ github.a }} ${{  y }}", allowed_contexts=["github"])
    assert [(flaw.offset, flaw.position) for flaw in flaws] == [(6, 1), (32, 1)]
    assert check_text("no expression") == []
    assert check_text("x ${{ a")[0].offset == 2


def test_references() -> None:
    assert references("Github.ref == steps['a'].b || format('{0}', secrets.x)") == {"github", "steps", "secrets"}
    raw = {"${{ matrix.a }}": ["${{ env.x }} ${{ VARS.y }}", 1], "${{ insert }}": "${{ needs.a }}"}
    assert references_in(raw) == {"matrix", "env", "vars", "needs"}
    assert [part.text for part in expressions_in(raw)] == ["matrix.a", "env.x", "VARS.y", "needs.a"]
    with pytest.raises(ExpressionError):
        references("a b")
