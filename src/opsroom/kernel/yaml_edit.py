"""Changing one value of a YAML text and nothing else: comments, quotes, order and indentation stay as they are."""

from __future__ import annotations

import io
import re
from itertools import pairwise
from typing import Any

from opsroom.kernel.documents import Path
from opsroom.kernel.errors import Conflict, NotFound

REMOVE: Any = object()
"""The value that removes a key or an item."""

_ITEM = re.compile(r"^(?P<indent> *)-(?P<gap> +)\S")
_KEY = re.compile(r"^(?P<indent> *)[^\s#\-][^#]*:\s*(#.*)?$")


def edit_yaml(text: str, path: Path, value: Any, *, document: int = 0) -> str:
    """`text` with `value` at `path` of one of its documents; keys on the way that are absent are made, an index one past the end
    appends. Errors: not found, for a document or an index that is not there; Conflict, where the way leads through a scalar."""
    import ruamel.yaml

    editor = ruamel.yaml.YAML()
    editor.preserve_quotes = True
    editor.width = 1 << 16
    editor.explicit_start = bool(re.match(r"(\s*#.*\n|\s*\n)*---", text))
    mapping, sequence, offset = detect_indent(text)
    editor.indent(mapping=mapping, sequence=sequence, offset=offset)
    documents = list(editor.load_all(text))
    if document >= len(documents):
        raise NotFound(f"the file has {len(documents)} documents; there is no number {document}")
    if not path:
        documents[document] = value
    else:
        _set(documents[document], path, value)
    out = io.StringIO()
    editor.dump_all(documents, out)
    result = out.getvalue()
    return result if text.endswith("\n") else result.removesuffix("\n")


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


def _set(node: Any, path: Path, value: Any) -> None:
    for part, following in pairwise(path):
        node = _step(node, part, [] if isinstance(following, int) else {})
    last = path[-1]
    if isinstance(last, int):
        if not isinstance(node, list):
            raise Conflict(f"{last} of {list(path)} would be an item, and that is no list")
        if value is REMOVE and last < len(node):
            del node[last]
        elif value is not REMOVE and last == len(node):
            node.append(value)
        elif value is not REMOVE and last < len(node):
            node[last] = value
        else:
            raise NotFound(f"{list(path)}: the list has {len(node)} items")
    elif not isinstance(node, dict):
        raise Conflict(f"{last!r} of {list(path)} would be a key, and that is no mapping")
    elif value is REMOVE:
        node.pop(last, None)
    else:
        node[last] = value


def _step(node: Any, part: str | int, absent: Any) -> Any:
    if isinstance(part, int):
        if not isinstance(node, list) or part >= len(node):
            raise NotFound(f"there is no item {part}")
        return node[part]
    if not isinstance(node, dict):
        raise Conflict(f"{part!r} would be a key, and that is no mapping")
    if node.get(part) is None:
        node[part] = absent
    return node[part]
