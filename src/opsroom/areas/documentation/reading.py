"""What a Markdown text holds: its headings with their anchors, and its links. Read from what is rendered, so both always agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading: its depth from 1, its words, its anchor, and the number of its token."""

    depth: int
    text: str
    anchor: str
    token: int


@lru_cache(maxsize=1)
def parser() -> Any:
    """CommonMark with tables, strikethrough and task lists; raw HTML is text, and links that run scripts are none."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.tasklists import tasklists_plugin

    made = MarkdownIt("commonmark", {"html": False, "linkify": False, "highlight": None})
    return made.enable(["table", "strikethrough"]).use(tasklists_plugin)


def headings_in(tokens: Any) -> list[Heading]:
    """The headings of parsed tokens. An anchor that was given before gets -1, -2, … (as GitHub makes them)."""
    found: list[Heading] = []
    given: set[str] = set()
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            text = _words(tokens[at + 1])
            bare, anchor, number = slug(text), slug(text), 0
            while anchor in given:
                number += 1
                anchor = f"{bare}-{number}"
            given.add(anchor)
            found.append(Heading(int(token.tag[1]), text, anchor, at))
    return found


def anchors_of(markdown: str) -> set[str]:
    """The anchors of a text's headings."""
    return {heading.anchor for heading in headings_in(parser().parse(markdown))}


def title_of(markdown: str) -> str:
    """The first heading of the highest level; "" without one."""
    return next((one.text for one in headings_in(parser().parse(markdown)) if one.depth == 1), "")


def links_of(markdown: str) -> list[str]:
    """The targets of a text's links and images, each once, in order."""
    found = (
        target for token in parser().parse(markdown) for child in token.children or () if (target := _target(child))
    )
    return list(dict.fromkeys(found))


@lru_cache(maxsize=2000)
def words_of(markdown: str) -> str:
    """The text that a reader sees, without the marks; code and diagrams are left as they are written."""
    return "\n".join(_seen(parser().parse(markdown)))


def plain(text: object) -> str:
    """Text that Markdown shows as it is, on one line: what people typed elsewhere must not become a link or a table's column."""
    return re.sub(r"([\\`*_{}\[\]<>()#|~!&])", r"\\\1", " ".join(str(text).split()))


def slug(heading: str) -> str:
    """The anchor of a heading's words: lower case, hyphens for spaces, no punctuation."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _target(token: Any) -> str:
    return str(token.attrGet("href" if token.type == "link_open" else "src") or "") if token.type in _TARGETS else ""


_TARGETS = frozenset({"link_open", "image"})


def _seen(tokens: Any) -> Iterator[str]:
    for token in tokens:
        if token.type == "inline":
            yield _words(token)
        elif token.type in {"fence", "code_block"}:
            yield token.content


def _words(inline: Any) -> str:
    """The words of an inline token: text, code, what images are described by, and a space for a line's end."""
    parts = []
    for child in inline.children or ():
        if child.type in {"text", "code_inline", "image"}:
            parts.append(child.content)
        elif child.type in {"softbreak", "hardbreak"}:
            parts.append(" ")
    return "".join(parts)
