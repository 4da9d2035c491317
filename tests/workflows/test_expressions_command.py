"""`opsroom expression` through its front door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from opsroom.surfaces.cli.expression import expression


def ask(*arguments: str, given: bytes | str | None = None) -> Result:
    return CliRunner().invoke(expression, list(arguments), input=given)


def test_one_expression_over_a_file_of_contexts(tmp_path: Path) -> None:
    file = tmp_path / "contexts.json"
    file.write_text(json.dumps({"github": {"ref": "refs/heads/main", "labels": [{"name": "é"}]}}), "utf-8")
    assert json.loads(ask("github.REF", "--contexts", str(file)).stdout) == {
        "kind": "String",
        "value": "refs/heads/main",
    }
    assert json.loads(ask("github.labels.*.name", "--contexts", str(file)).stdout) == {"kind": "Array", "value": ["é"]}
    assert json.loads(ask("1 == 1", "--contexts", "-", given="{}").stdout) == {"kind": "Boolean", "value": True}


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("", "Null", None),
        ("-1.5", "Number", -1.5),
        ("2", "Number", 2),
        ("-1", "Number", -1),
        ("-0", "Number", 0),
        ("NaN", "Number", "NaN"),
        ("-Infinity", "Number", "-Infinity"),
        ("fromJSON('{\"a\": [1e999]}')", "Object", {"a": ["Infinity"]}),
        ("fromJSON('\"\\ud800\"')", "String", "\ud800"),
    ],
)
def test_kind_and_value(text: str, kind: str, value: Any) -> None:
    result = ask(text)
    assert result.exit_code == 0
    assert json.loads(result.stdout, parse_constant=pytest.fail) == {"kind": kind, "value": value}


def test_an_error_is_json_on_stdout_and_one_line_on_stderr() -> None:
    result = ask("1 ==\n nope")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"] == {
        "kind": "parsing",
        "message": "Unrecognized named-value: 'nope'. Located at position 7 within expression: 1 ==\n nope",
    }
    assert len(result.stderr.splitlines()) == 1
    assert "nope" in result.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "no JSON object"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a": ' + b"1" * 5000 + b"}", "too many digits"),
    ],
)
def test_contexts_that_cannot_be_read(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "contexts.json"
    file.write_bytes(content)
    result = ask("1", "--contexts", str(file))
    assert result.exit_code == 1
    error = json.loads(result.stdout)["error"]
    assert error["kind"] == "input"
    assert says in error["message"]
    assert "contexts.json" in result.stderr


def test_a_value_too_deep_to_print(tmp_path: Path) -> None:
    file = tmp_path / "contexts.json"
    file.write_text('{"a": ' + "[" * 900 + "]" * 900 + "}", "utf-8")
    result = ask("a", "--contexts", str(file))
    answer = json.loads(result.stdout)
    if result.exit_code == 0:  # Since Python 3.12 its JSON writer goes deeper than this.
        assert json.dumps(answer["value"]) == "[" * 900 + "]" * 900
    else:
        assert "nested too deep" in answer["error"]["message"]


def test_a_batch_answers_every_line_whatever_it_holds() -> None:
    lines = [
        b'{"expr": "a.b", "contexts": {"a": {"b": [1]}}}',
        b'{"expr": "1 < 2"}',
        b'{"expr": "1", "contexts": null}',
        b"",
        b"nonsense",
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"expr": 1}',
        b'{"expr": "1", "contexts": []}',
        b'{"expr": "1 <"}',
        b'{"expr": "&"}',
        b'{"expr": "format(\'{\')"}',
        b'{"expr": "\'last\'"}',
    ]
    result = ask("--batch", given=b"\n".join(lines) + b"\n")
    assert result.exit_code == 0
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert answers[0] == {"kind": "Array", "value": [1]}
    assert answers[1] == {"kind": "Boolean", "value": True}
    assert answers[2] == {"kind": "Number", "value": 1}
    assert [answer["error"]["kind"] for answer in answers[3:12]] == ["input"] * 6 + ["parsing", "lexing", "evaluation"]
    assert answers[12] == {"kind": "String", "value": "last"}


def test_what_is_asked_must_be_clear(tmp_path: Path) -> None:
    assert ask().exit_code == 2
    assert ask("1", "--batch").exit_code == 2
    missing = ask("1", "--contexts", str(tmp_path / "absent.json"))
    assert missing.exit_code == 2
    assert "absent.json" in missing.stderr
