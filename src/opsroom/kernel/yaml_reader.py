"""YAML 1.2 (core schema) from libyaml's events into plain values and their positions; bounded in depth and in size.

Positions are tuples: `(line, column)` of a scalar, `(line, column, [positions])` of a list, and of a mapping
`(line, column, {key: (line of key, column of key, positions)})`; lines and columns count from 1.
"""

from __future__ import annotations

import re
from typing import Any

from yaml import CSafeLoader, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from opsroom.kernel.errors import Place, Problem

MAX_DEPTH = 200
MAX_NODES = 1_000_000
"""Values of one text after every alias is expanded; bounds what anchors can blow up to."""


def read_yaml(text: str, file: str) -> tuple[list[tuple[Any, Any]], list[Problem]]:
    """Each document's value with its positions, and the problems; text must be free of lone surrogates."""
    reader = _YamlReader(text, file)
    return reader.read(), reader.problems


class _StopError(Exception):
    """Reading cannot go on; the problem is already written down."""


class _Frame:
    """A mapping or list being read: its value, where its parts stand, and the key that waits for its value."""

    __slots__ = ("anchor", "children", "column", "key", "line", "nodes", "value")

    def __init__(self, value: Any, children: Any, line: int, column: int, anchor: str | None, nodes: int) -> None:
        self.value = value
        self.children = children
        self.line = line
        self.column = column
        self.anchor = anchor
        self.nodes = nodes
        self.key: tuple[str, int, int] | None = None


class _YamlReader:
    """Builds values from libyaml's events, with no recursion: depth and size are bounded here, not by the stack."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.problems: list[Problem] = []
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Any, Any, int] | None] = {}
        self.nodes = 0
        self.documents: list[tuple[Any, Any]] = []
        self.root: Any = None
        self.root_positions: Any = (1, 1)

    def read(self) -> list[tuple[Any, Any]]:
        try:
            parser = CSafeLoader(self.text)
            try:
                while self._take(parser.get_event()):
                    pass
            finally:
                parser.dispose()
        except ReaderError as error:
            self._unreadable(error)
        except YAMLError as error:
            self.problems.append(_syntax_problem(error, self.text, self.file))
        except _StopError:
            pass
        return self.documents

    def _take(self, event: Any) -> bool:
        kind = type(event)
        if kind is ScalarEvent:
            self._scalar(event)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            self._open(event, kind is MappingStartEvent)
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            frame = self.stack.pop()
            positions = (frame.line, frame.column, frame.children)
            if frame.anchor is not None:
                self.anchors[frame.anchor] = (frame.value, positions, self.nodes - frame.nodes)
            self._place_value(frame.value, positions)
        elif kind is AliasEvent:
            self._alias(event)
        elif kind is DocumentStartEvent:
            self.anchors = {}
        elif kind is DocumentEndEvent:
            self.documents.append((self.root, self.root_positions))
        return kind is not StreamEndEvent

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        self._count(1, line, column)
        stack = self.stack
        if stack:
            frame = stack[-1]
            if frame.key is None and type(frame.value) is dict:
                frame.key = (event.value, line, column)
                if event.anchor is not None:
                    self.anchors[event.anchor] = (event.value, (line, column), 1)
                return
        value = event.value
        if event.tag is not None or event.implicit[0]:
            value = self._resolve(event, line, column)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, (line, column), 1)
        self._place_value(value, (line, column))

    def _resolve(self, event: Any, line: int, column: int) -> Any:
        text, tag = event.value, event.tag
        if tag is None:
            return resolve_plain(text)
        if tag in {"!", "tag:yaml.org,2002:str"}:
            return text
        wanted = _TAGS.get(tag)
        if wanted is None:
            way_out = "remove it; the tags of YAML 1.2 are !!str, !!int, !!float, !!bool, !!null, !!map and !!seq"
            self._problem(line, column, f"unknown tag {_shown_tag(tag)}", way_out)
            return text
        value = resolve_plain(text)
        if wanted is float and type(value) is int:
            return float(value)
        if type(value) is not wanted:
            self._problem(
                line, column, f"{text!r} is not of its tag {_shown_tag(tag)}", "remove the tag or mend the value"
            )
        return value

    def _open(self, event: Any, is_mapping: bool) -> None:
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        self._count(1, line, column)
        if self.stack and self.stack[-1].key is None and type(self.stack[-1].value) is dict:
            self._problem(
                line, column, "a key is a mapping or a list", "write a key as text; quote it if it starts with [ or {"
            )
            raise _StopError
        if len(self.stack) >= MAX_DEPTH:
            self._problem(line, column, f"nested more than {MAX_DEPTH} levels deep", "flatten the document")
            raise _StopError
        if event.tag is not None and event.tag not in {"!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}:
            self._problem(line, column, f"unknown tag {_shown_tag(event.tag)}", "remove it")
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        value: Any = {} if is_mapping else []
        self.stack.append(_Frame(value, {} if is_mapping else [], line, column, event.anchor, self.nodes))

    def _alias(self, event: Any) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if event.anchor not in self.anchors:
            self._problem(
                line, column, f"unknown anchor *{event.anchor}", f"write &{event.anchor} before the value it stands for"
            )
            raise _StopError
        known = self.anchors[event.anchor]
        if known is None:
            self._problem(
                line, column, f"*{event.anchor} stands inside the value it names", "an anchor may not contain itself"
            )
            raise _StopError
        value, positions, nodes = known
        self._count(nodes, line, column)
        frame = self.stack[-1] if self.stack else None
        if frame is not None and frame.key is None and type(frame.value) is dict:
            if type(value) is not str:
                self._problem(line, column, f"*{event.anchor} is used as a key and is not text", "write the key out")
                raise _StopError
            frame.key = (value, line, column)
            return
        self._place_value(value, (line, column, *positions[2:]))

    def _place_value(self, value: Any, positions: Any) -> None:
        if not self.stack:
            self.root, self.root_positions = value, positions
            return
        frame = self.stack[-1]
        if type(frame.value) is list:
            frame.value.append(value)
            frame.children.append(positions)
            return
        key, line, column = frame.key  # type: ignore[misc]
        frame.key = None
        if key in frame.value:
            first = frame.children[key]
            self._problem(
                line, column, f"duplicate key {key!r}", f"it is already set on line {first[0]}; keep one of the two"
            )
            return
        frame.value[key] = value
        frame.children[key] = (line, column, positions)

    def _count(self, nodes: int, line: int, column: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            way_out = "use fewer aliases, or split the file"
            self._problem(line, column, f"more than {MAX_NODES:,} values once its aliases are expanded", way_out)
            raise _StopError

    def _unreadable(self, error: ReaderError) -> None:
        bad = _UNPRINTABLE.search(self.text)
        at = bad.start() if bad else 0
        name = f"U+{ord(bad.group()):04X}" if bad else str(error.reason)
        line, column = self.text.count("\n", 0, at) + 1, at - (self.text.rfind("\n", 0, at) + 1) + 1
        self._problem(line, column, f"control character {name}", "remove it, or write it as an escape in double quotes")

    def _problem(self, line: int, column: int, message: str, way_out: str) -> None:
        self.problems.append(Problem(Place(self.file, line, column), message, way_out))


_TAGS: dict[str, type] = {
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
    "tag:yaml.org,2002:bool": bool,
    "tag:yaml.org,2002:null": type(None),
}
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BASED = re.compile(r"0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_NUMBER_STARTS = frozenset("0123456789+-.")


def resolve_plain(text: str) -> Any:
    """The value of an unquoted scalar under the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    return text


def _shown_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


_WAYS_OUT = (
    ("mapping values are not allowed", "quote a value that contains ': ', or mend the indentation"),
    ("that cannot start any token", "quote a value that starts with a special character"),
    ("could not find expected ':'", "write 'key: value', and indent the lines of a block under their key"),
    ("did not find expected key", "check the indentation, and quotes inside quotes"),
    ("did not find expected '-' indicator", "indent all items of the list alike"),
    ("did not find expected ',' or ']'", "close the list with ]; quote items that contain special characters"),
    (
        "did not find expected ',' or '}'",
        "close the mapping with }; quote values that contain special characters, such as ${{ }}",
    ),
    ("unexpected end of stream", "close the quote that is opened here"),
    ("did not find expected <document start>", "a file holds one mapping or list; check the indentation"),
    ("exceeded", "flatten the document"),
)


def _syntax_problem(error: YAMLError, text: str, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = str(getattr(error, "problem", None) or error).splitlines()[0]
    context = getattr(error, "context", None)
    place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
    if mark and "cannot start any token" in what and text.split("\n")[mark.line][mark.column :].startswith("\t"):
        return Problem(place, "not YAML: a tab in the indentation", "indent with spaces")
    way_out = next((way for sign, way in _WAYS_OUT if sign in what), "check the indentation and the quotes around here")
    return Problem(place, f"not YAML: {what}" + (f" {context}" if context else ""), way_out)
