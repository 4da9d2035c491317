"""JSON (RFC 8259) into plain values and their positions, strictly: no comments, no NaN, no duplicate keys.

Positions have the shape that `yaml_reader` states.
"""

from __future__ import annotations

import re
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NoReturn

from opsroom.kernel.errors import Place, Problem

MAX_DEPTH = 200


def read_json(text: str, file: str) -> tuple[list[tuple[Any, Any]], list[Problem]]:
    """The value with its positions as a list of one (empty after a syntax error), and the problems."""
    reader = _JsonReader(text, file)
    try:
        value, positions, end = reader.value(reader.skip(0), 0)
        end = reader.skip(end)
        if end < len(text):
            reader.fail(end, "text after the end of the document", "a JSON file holds one value")
    except _StopError:
        return [], reader.problems
    return [(value, positions)], reader.problems


class _StopError(Exception):
    """Reading cannot go on; the problem is already written down."""


_SPACE = re.compile(r"[ \t\r\n]*")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_JSON_WORDS = {"true": True, "false": False, "null": None}


class _JsonReader:
    """A strict JSON reader that keeps positions; each method takes an offset and returns the offset after what it read."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.problems: list[Problem] = []
        self.last = (0, 1, 0)

    def value(self, at: int, depth: int) -> tuple[Any, Any, int]:
        start = self.text[at : at + 1]
        line_column = self.where(at)
        if start == '"':
            text, end = self.string(at)
            return text, line_column, end
        if start in {"{", "["} and start:
            if depth >= MAX_DEPTH:
                self.fail(at, f"nested more than {MAX_DEPTH} levels deep", "flatten the document")
            return self.mapping(at, depth, line_column) if start == "{" else self.list(at, depth, line_column)
        number = _JSON_NUMBER.match(self.text, at)
        if number:
            whole = number[1] is None and number[2] is None and len(number[0]) <= 300
            return (int(number[0]) if whole else float(number[0])), line_column, number.end()
        for word, value in _JSON_WORDS.items():
            if self.text.startswith(word, at):
                return value, line_column, at + len(word)
        return self.fail(
            at, "no JSON value here", "write an object, a list, text in double quotes, a number, true, false or null"
        )

    def mapping(self, at: int, depth: int, start: tuple[int, int]) -> tuple[Any, Any, int]:
        value: dict[str, Any] = {}
        children: dict[str, Any] = {}
        at = self.skip(at + 1)
        while self.text[at : at + 1] != "}":
            if self.text[at : at + 1] != '"':
                self.fail(at, "no key here", 'write a key in double quotes, or close the object with "}"')
            line, column = self.where(at)
            key, at = self.string(at)
            at = self.skip(at)
            if self.text[at : at + 1] != ":":
                self.fail(at, f'no ":" after the key {key!r}', 'write "key": value')
            item, positions, at = self.value(self.skip(at + 1), depth + 1)
            if key in value:
                way_out = f"it is already set on line {children[key][0]}; keep one of the two"
                self.problems.append(Problem(Place(self.file, line, column), f"duplicate key {key!r}", way_out))
            else:
                value[key], children[key] = item, (line, column, positions)
            at = self.next_item(at, "}")
        return value, (*start, children), at + 1

    def list(self, at: int, depth: int, start: tuple[int, int]) -> tuple[Any, Any, int]:
        value: list[Any] = []
        children: list[Any] = []
        at = self.skip(at + 1)
        while self.text[at : at + 1] != "]":
            item, positions, at = self.value(at, depth + 1)
            value.append(item)
            children.append(positions)
            at = self.next_item(at, "]")
        return value, (*start, children), at + 1

    def next_item(self, at: int, closing: str) -> int:
        at = self.skip(at)
        found = self.text[at : at + 1]
        if found == closing:
            return at
        if found != ",":
            self.fail(at, f'neither "," nor "{closing}" here', "separate items with a comma")
        at = self.skip(at + 1)
        if self.text[at : at + 1] == closing:
            self.fail(at, "a comma before the end", "remove the last comma")
        return at

    def string(self, at: int) -> tuple[str, int]:
        try:
            found: tuple[str, int] = scanstring(self.text, at + 1, True)
        except JSONDecodeError as error:
            self.fail(error.pos, f"bad text: {error.msg}", "close the quote, and write control characters as escapes")
        return found

    def skip(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def where(self, at: int) -> tuple[int, int]:
        offset, line, line_start = self.last
        added = self.text.count("\n", offset, at)
        if added:
            line, line_start = line + added, self.text.rfind("\n", offset, at) + 1
        self.last = (at, line, line_start)
        return line, at - line_start + 1

    def fail(self, at: int, message: str, way_out: str) -> NoReturn:
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        self.problems.append(Problem(Place(self.file, line, column), f"not JSON: {message}", way_out))
        raise _StopError
