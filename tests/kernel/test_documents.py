"""YAML and JSON with places: the 1.2 core schema, limits, and problems instead of exceptions."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.kernel.documents import MAX_CHARACTERS, load_document, load_documents
from opsroom.kernel.errors import Place


def value(text: str, file: str = "a.yml") -> object:
    node, problems = load_document(text, file)
    assert problems == []
    assert node is not None
    return node.value


def problem(text: str, file: str = "a.yml") -> str:
    _, problems = load_documents(text, file)
    assert len(problems) == 1, problems
    return str(problems[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("True", True),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("1:20", "1:20"),
        ("1_000", "1_000"),
        ("2020-01-02", "2020-01-02"),
        ("3.10", 3.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("~", None),
        ("-.inf", -math.inf),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!float 1", 1.0),
        ("<<", "<<"),
        ("+", "+"),
        ("9" * 400, math.inf),
    ],
)
def test_scalars_follow_yaml_1_2_core(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


def test_keys_are_text_as_written() -> None:
    assert value("on: 1\n2: x\ntrue: y\n") == {"on": 1, "2": "x", "true": "y"}


def test_places_of_keys_values_and_items() -> None:
    node, _ = load_document("a:\n  b: [1, {c: 2}]\n", "f.yml")
    assert node is not None
    assert node.place(("a", "b", 1, "c")) == Place("f.yml", 2, 14)
    assert node.key_place(("a", "b", 1, "c")) == Place("f.yml", 2, 11)
    assert node.place(("a", "b", 1)) == Place("f.yml", 2, 10)
    assert node.place(("a", "missing", "x")) == Place("f.yml", 2, 3)
    assert node.key_place(("a",)) == Place("f.yml", 1, 1)
    assert node.place() == Place("f.yml", 1, 1)


def test_aliases_share_the_value_and_stand_where_they_are_used() -> None:
    node, problems = load_document("a: &x {k: 1}\nb: *x\n", "f.yml")
    assert node is not None
    assert not problems
    assert node.value == {"a": {"k": 1}, "b": {"k": 1}}
    assert node.place(("b",)) == Place("f.yml", 2, 4)
    assert node.place(("b", "k")) == Place("f.yml", 1, 11)


def test_every_document_of_a_file() -> None:
    nodes, problems = load_documents("a: 1\n---\n- b\n", "f.yml")
    assert [node.value for node in nodes] == [{"a": 1}, ["b"]]
    assert not problems
    assert nodes[1].place((0,)).line == 3
    _, problems = load_document("a: 1\n---\nb: 2\n", "f.yml")
    assert "2 documents" in str(problems[0])


def test_duplicate_keys_keep_the_first_and_are_told() -> None:
    nodes, problems = load_documents("a: 1\nb: {x: 1, x: 2}\na: 3\n", "f.yml")
    assert nodes[0].value == {"a": 1, "b": {"x": 1}}
    assert [str(p.place) for p in problems] == ["f.yml:2:11", "f.yml:3:1"]
    assert "already set on line 1" in str(problems[1])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a:\n\t- b", "a.yml:2:1: not YAML: a tab in the indentation; indent with spaces"),
        ("a: b: c", "quote a value that contains ': '"),
        ("a: {b: ${{ x }}}", "quote values that contain special characters"),
        ("a: *x", "a.yml:1:4: unknown anchor *x"),
        ("a: &a [*a]", "stands inside the value it names"),
        ("[" * 500, "nested more than 200 levels"),
        ("a: !Ref b", "unknown tag !Ref"),
        ("a: !!int b", "'b' is not of its tag !!int"),
        ("? [a]\n: b", "a key is a mapping or a list"),
        ("a: \x01", "a.yml:1:4: control character U+0001"),
        ("a: \ud800", "not UTF-8"),
    ],
)
def test_bad_yaml_is_a_problem_with_place_and_way_out(text: str, says: str) -> None:
    assert says in problem(text)


def test_bytes_must_be_utf_8() -> None:
    _, problems = load_documents(b"a: 1\nb: \xff\n", "f.yml")
    assert str(problems[0]) == "f.yml:2:4: the file is not UTF-8 text; save it as UTF-8"
    assert value("\ufeffa: 1") == {"a": 1}


def test_anchors_cannot_blow_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "values once its aliases are expanded" in problem("\n".join(lines))


def test_size_is_limited() -> None:
    assert "the limit is" in problem("a" * (MAX_CHARACTERS + 1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "a": 2}', "a.json:1:10: duplicate key 'a'"),
        ('{"a": 1,}', "a comma before the end"),
        ("[1 2]", "a.json:1:4: not JSON"),
        ("[NaN]", "no JSON value here"),
        ("", "no JSON value here"),
        ("1 2", "text after the end"),
        ("[" * 500, "nested more than 200 levels"),
        ('"a\nb"', "bad text"),
    ],
)
def test_bad_json_is_a_problem(text: str, says: str) -> None:
    assert says in problem(text, "a.json")


def test_json_is_read_strictly_with_places() -> None:
    node, _ = load_document('{\n\t"a": ["\\ud83d\\ude00", -1.5e2, true]\n}', "a.json")
    assert node is not None
    assert node.value == {"a": ["😀", -150.0, True]}
    assert node.place(("a", 1)) == Place("a.json", 2, 24)


@given(st.text(alphabet=st.sampled_from("abc:-[]{}&*!|>'\"#%@`, \n\t01~${}?\\\x00é\ud800")))
def test_no_text_raises(text: str) -> None:
    for file in ("a.yml", "a.json"):
        nodes, problems = load_documents(text, file)
        assert isinstance(nodes, list)
        for one in problems:
            assert one.message
            assert one.way_out


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_json_reads_as_the_standard_library_reads_it(given_value: object) -> None:
    text = json.dumps(given_value)
    nodes, problems = load_documents(text, "a.json")
    assert not problems
    assert nodes[0].value == json.loads(text)
