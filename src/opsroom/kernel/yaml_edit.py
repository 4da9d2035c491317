"""Changing one value of a YAML text and as little else as can be: comments, quotes, order and indentation stay as they are."""

from __future__ import annotations

import copy
import io
import json
import re
from itertools import pairwise
from typing import Any

import yaml

from opsroom.kernel.documents import Path, load_documents
from opsroom.kernel.errors import Conflict, NotFound, Problems
from opsroom.kernel.yaml_reader import resolve_plain

REMOVE: Any = object()
"""The value that removes a key or an item."""

_ITEM = re.compile(r"^(?P<indent> *)-(?P<gap> +)\S")
_KEY = re.compile(r"^(?P<indent> *)[^\s#\-][^#]*:\s*(#.*)?$")
_MARKER = re.compile(r"^---[ \t]*(?:#.*)?\n", re.MULTILINE)


def edit_yaml(text: str, path: Path, value: Any, *, document: int = 0) -> str:
    """`text` with `value` (plain data) at `path` of one of its documents; keys on the way that are absent are made, an index one past
    the end appends. Replacing one scalar by another changes nothing else; other changes write that document anew, as it was indented.

    Errors: not found, for a document or an index that is not there; Conflict, where the way leads through a scalar or the text
    cannot be changed without changing its meaning elsewhere; Problems, where it is not YAML."""
    nodes, problems = load_documents(text, "the file", syntax="yaml")
    if problems:
        raise Problems(problems)
    if not 0 <= document < len(nodes):
        raise NotFound(f"the file has {len(nodes)} documents; there is no number {document}")
    wanted = [copy.deepcopy(node.value) for node in nodes]
    wanted[document] = _changed(wanted[document], path, value)
    for way in (_replace_scalar, _write_anew):
        after = way(text, path, value, document)
        if after is not None and [node.value for node in load_documents(after, "", syntax="yaml")[0]] == wanted:
            return after
    raise Conflict(f"{_shown(path)} cannot be changed without changing what stands around it; edit the file by hand")


def detect_indent(text: str) -> tuple[int, int, int]:
    """How the text indents: spaces of a mapping below a key, of a list's content, and of its dashes; 2, 2, 0 where nothing tells."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    mapping = sequence = offset = None
    for above, line in pairwise(lines):
        parent = _KEY.match(above)
        if not parent:
            continue
        base = len(parent["indent"])
        if item := _ITEM.match(line):
            if sequence is None and len(item["indent"]) >= base:
                offset = len(item["indent"]) - base
                sequence = offset + 1 + len(item["gap"])
        elif mapping is None and len(line) - len(line.lstrip()) > base:
            mapping = len(line) - len(line.lstrip()) - base
    offset = 0 if offset is None else offset
    return mapping or 2, sequence or offset + 2, offset


def _replace_scalar(text: str, path: Path, value: Any, document: int) -> str | None:
    """Writes a scalar over a scalar of one line; None where either is something else."""
    if value is REMOVE or isinstance(value, list | dict):
        return None
    node: yaml.Node | None = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))[document]
    for part in path:
        node = _below(node, part)
    if not isinstance(node, yaml.ScalarNode) or node.style in {"|", ">"} or node.start_mark.line != node.end_mark.line:
        return None
    lines = text.splitlines(keepends=True)
    line, start, end = node.start_mark.line, node.start_mark.column, node.end_mark.column
    if start == end:
        return None
    lines[line] = lines[line][:start] + _scalar(value, node.style or "") + lines[line][end:]
    return "".join(lines)


def _below(node: yaml.Node | None, part: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part]  # type: ignore[no-any-return]
    if isinstance(node, yaml.MappingNode):
        return next((below for key, below in node.value if key.value == part), None)
    return None


def _scalar(value: Any, quote: str) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if quote == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    plain = re.fullmatch(r"[A-Za-z0-9_./+=@%-](?:[\w ./+=@%:-]*[\w./+=@%-])?", value, re.ASCII)
    if not quote and plain and ": " not in value and resolve_plain(value) == value and value[0] not in "-%@":
        return value
    return json.dumps(value, ensure_ascii=False)


def _write_anew(text: str, path: Path, value: Any, document: int) -> str | None:
    """Writes one document anew and leaves the text of the others; None where the documents cannot be told apart by their markers."""
    import ruamel.yaml
    from ruamel.yaml.error import YAMLError

    before, own, after = _split(text, document)
    editor = ruamel.yaml.YAML()
    editor.preserve_quotes = True
    editor.width = 1 << 16
    mapping, sequence, offset = detect_indent(own)
    editor.indent(mapping=mapping, sequence=sequence, offset=offset)
    try:
        loaded = editor.load(own)
    except YAMLError:
        return None
    out = io.StringIO()
    editor.dump(_changed(loaded, path, value), out)
    result = out.getvalue()
    return before + (result if own.endswith("\n") or after else result.removesuffix("\n")) + after


def _split(text: str, document: int) -> tuple[str, str, str]:
    """What stands before a document, with its marker; the document; and the next marker with what follows."""
    starts = [0, *(found.end() for found in _MARKER.finditer(text))]
    ends = [*(found.start() for found in _MARKER.finditer(text)), len(text)]
    chunks = list(zip(starts, ends, strict=True))
    if len(chunks) > 1 and not re.sub(r"(?m)^[ \t]*(#.*|%.*)?$", "", text[: chunks[0][1]]).strip():
        chunks = chunks[1:]
    start, end = chunks[min(document, len(chunks) - 1)]
    return text[:start], text[start:end], text[end:]


def _changed(node: Any, path: Path, value: Any) -> Any:
    """The node with the change made in it; another node where the path is empty."""
    if not path:
        return None if value is REMOVE else value
    root = node = {} if node is None else node
    for number, (part, following) in enumerate(pairwise(path), 1):
        node = _step(node, part, [] if isinstance(following, int) else {}, path[:number])
    last = path[-1]
    if isinstance(last, int):
        if not isinstance(node, list):
            raise Conflict(f"{_shown(path)} would be an item, and {_shown(path[:-1])} is no list")
        if last > len(node) or (value is REMOVE and last == len(node)):
            raise NotFound(f"{_shown(path)} is not there: the list has {len(node)} items")
        node[last : last + 1] = [] if value is REMOVE else [value]
    elif not isinstance(node, dict):
        raise Conflict(f"{_shown(path)} would be a key, and {_shown(path[:-1])} is no mapping")
    elif value is REMOVE:
        node.pop(last, None)
    else:
        node[last] = value
    return root


def _step(node: Any, part: str | int, absent: Any, path: Path) -> Any:
    if isinstance(part, int):
        if not isinstance(node, list) or part >= len(node):
            raise NotFound(f"{_shown(path)} is not there")
        return node[part]
    if not isinstance(node, dict):
        raise Conflict(f"{_shown(path)} would be a key, and {_shown(path[:-1])} is no mapping")
    if node.get(part) is None:
        node[part] = absent
    return node[part]


def _shown(path: Path) -> str:
    return ".".join(map(str, path)) or "the document"
