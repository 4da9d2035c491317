"""Masks, seals, workflow commands and the files of steps."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.kernel.errors import Invalid
from opsroom.workflows.runner.commands import parse_command
from opsroom.workflows.runner.file_commands import parse_pairs
from opsroom.workflows.runner.masks import Masks, unseal

SECRET = "s3cr3t/+ value"


@pytest.mark.parametrize("form", [SECRET, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1]])
def test_a_secret_is_hidden_in_the_forms_it_takes(form: str) -> None:
    assert Masks({"TOKEN": SECRET}).hide(f"a {form} b") == "a *** b"


@given(before=st.binary(max_size=7), after=st.binary(max_size=7), secret=st.text(min_size=6, max_size=40))
def test_base64_of_a_secret_is_hidden_at_any_alignment(before: bytes, after: bytes, secret: str) -> None:
    coded = base64.b64encode(before + secret.encode() + after).decode()
    assert "***" in Masks({"TOKEN": secret}).hide(coded)


def test_each_line_of_a_secret_is_hidden() -> None:
    assert Masks({"KEY": "-----BEGIN\nabcdef\n-----END"}).hide("x abcdef y") == "x *** y"


@given(st.text(), st.text(min_size=1), st.text(min_size=1))
def test_a_seal_holds_no_secret_and_opens_again(text: str, first: str, second: str) -> None:
    secrets = {"A": f"\N{SNOWMAN}{first}", "B": f"\N{COMET}{second}"}
    whole = f"{text}{secrets['A']}{text}{secrets['B']}"
    sealed = Masks(secrets).seal(whole)
    assert secrets["A"] not in sealed and secrets["B"] not in sealed
    assert unseal(sealed, secrets) == whole


def test_a_seal_cannot_be_forged() -> None:
    masks = Masks({"KEY": "hidden-value"})
    forged = "\ue0000:KEY\ue001"
    assert unseal(masks.seal(forged), {"KEY": "hidden-value"}) == forged


def test_commands() -> None:
    command = parse_command("  ::error file=a%2Cb.py,line=3,title=Bad::50%25%0Adone")
    assert command is not None
    assert (command.name, dict(command.properties)) == ("error", {"file": "a,b.py", "line": "3", "title": "Bad"})
    assert command.message == "50%\ndone"
    assert parse_command("x ::error::no") is None
    assert parse_command("::unknown::x") is None
    old = parse_command("12:00 ##[group]build")
    assert old is not None and (old.name, old.message) == ("group", "build")


@given(st.text())
def test_no_line_breaks_the_command_parser(line: str) -> None:
    parse_command(line)
    parse_command(f"::{line}")


def test_pairs() -> None:
    text = "a=1\nb=x<<y\nc<<EOF\nline 1\n\nline=2\nEOF\r\n\nd=\n"
    assert parse_pairs(text, "GITHUB_OUTPUT") == {"a": "1", "b": "x<<y", "c": "line 1\n\nline=2", "d": ""}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("novalue\n", "invalid format"),
        ("=x\n", "must not be empty"),
        ("a<<EOF\nx\n", "delimiter not found 'EOF'"),
        ("a<<\n", "delimiter"),
    ],
)
def test_bad_pairs(text: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        parse_pairs(text, "GITHUB_ENV")


@given(st.dictionaries(st.text("abcXYZ_09", min_size=1), st.text().filter(lambda text: "\r" not in text), max_size=5))
def test_blocks_carry_any_text(pairs: dict[str, str]) -> None:
    text = "".join(f"{key}<<__end__\n{value}\n__end__\n" for key, value in pairs.items() if "__end__" not in value)
    assert parse_pairs(text, "GITHUB_ENV") == {key: value for key, value in pairs.items() if "__end__" not in value}
