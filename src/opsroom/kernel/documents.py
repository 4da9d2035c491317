"""YAML and JSON read with the place of every key and item, so that each problem can say file:line:column.

YAML is read by the 1.2 core schema (yaml.org/spec/1.2.2, chapter 10.3): `yes`, `on`, `012`, `1:20` and dates are not
booleans, octals, sexagesimals or times. Keys are always text. JSON (RFC 8259) is read by its own strict reader.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from opsroom.kernel.errors import Place, Problem
from opsroom.kernel.json_reader import read_json
from opsroom.kernel.yaml_reader import read_yaml

Path = tuple[str | int, ...]
"""The way from a document's root to one of its values: keys and 0-based indexes."""

MAX_CHARACTERS = 4_000_000


@dataclass(frozen=True, slots=True)
class Node:
    """One document: `value` is None, bool, int, float, str, list or dict (keys str). Aliased values are shared: do not change them."""

    value: Any
    file: str
    positions: Any = field(repr=False, default=(1, 1))

    def place(self, path: Path = ()) -> Place:
        """Where the value at `path` starts; for a path that is not there, the nearest value around it."""
        return self._find(path, key=False)

    def key_place(self, path: Path) -> Place:
        """Where the last key of `path` is written; an item of a list, or a missing key, answers as `place` does."""
        return self._find(path, key=True)

    def _find(self, path: Path, *, key: bool) -> Place:
        here = self.positions
        line, column = here[0], here[1]
        for number, part in enumerate(path, 1):
            try:
                found = here[2][part]
            except (KeyError, IndexError, TypeError):
                break
            here = found[2] if isinstance(part, str) else found
            line, column = (found if key and number == len(path) else here)[:2]
        return Place(self.file, line, column)


def load_documents(text: str | bytes, file: str, *, syntax: str = "") -> tuple[list[Node], list[Problem]]:
    """Every document of `text`, and everything wrong with it; never raises on bad input.

    `syntax` is "yaml" or "json"; by default JSON for a `file` that ends in `.json`, else YAML. Bytes are UTF-8. Documents that
    were whole before a syntax error are returned with it; a document with a duplicate key keeps the first value.
    """
    try:
        source = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        source.encode()
    except UnicodeError as error:
        return [], [_not_text(error, text, file)]
    if len(source) > MAX_CHARACTERS:
        message = f"the file has {len(source):,} characters, the limit is {MAX_CHARACTERS:,}"
        return [], [Problem(Place(file), message, "split it into several files")]
    is_json = syntax == "json" if syntax else file.endswith(".json")
    documents, problems = (read_json if is_json else read_yaml)(source, file)
    return [Node(value, file, positions) for value, positions in documents], problems


def load_document(text: str | bytes, file: str, *, syntax: str = "") -> tuple[Node | None, list[Problem]]:
    """As `load_documents`, for a file that may hold one document; None where it is empty or has a syntax error."""
    nodes, problems = load_documents(text, file, syntax=syntax)
    if len(nodes) > 1:
        way_out = "put the second into a file of its own"
        problems.append(Problem(nodes[1].place(), f"the file holds {len(nodes)} documents and may hold one", way_out))
    return (nodes[0] if nodes else None), problems


def _not_text(error: UnicodeError, text: str | bytes, file: str) -> Problem:
    start = error.start if isinstance(error, UnicodeDecodeError | UnicodeEncodeError) else 0
    before = text[:start].decode(errors="replace") if isinstance(text, bytes) else text[:start]
    place = Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
    return Problem(place, "the file is not UTF-8 text", "save it as UTF-8")
