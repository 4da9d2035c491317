"""A page of the documents, and what was found in it. Pure."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from opsroom.areas.documentation.reading import anchors_of, links_of, words_of

_DIAGRAM = re.compile(r"^```mermaid\n.*?^```$", re.DOTALL | re.MULTILINE)
MOST_IN_BODY = 10
_IN_TITLE = MOST_IN_BODY + 1
_WORD = re.compile(r"[^\W_]+", re.UNICODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One document. `path` as in the ops repo, or `services/NAME`, `pipelines/REPOSITORY/FILE`, … for one that is made. `place` is
    where it is written ("" : it is made); `events` are those behind what it says."""

    path: str
    title: str
    kind: str
    service: str = ""
    markdown: str
    place: str = ""
    events: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return hashlib.sha256(
            "\0".join((self.title, self.kind, self.service, self.place, self.markdown, *self.events)).encode()
        ).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A link that leads nowhere."""

    page: str
    target: str
    reason: str


def broken_links(pages: Mapping[str, Page], files: Iterable[str]) -> list[Broken]:
    """Links between pages, to files of the ops repo and to anchors that lead nowhere. Addresses of other hosts are not checked."""
    known = set(files)
    known |= {folder for path in known for folder in _folders(path)}
    return [
        Broken(page=page.path, target=target, reason=reason)
        for page in pages.values()
        for target in links_of(page.markdown)
        if (reason := _fault(page, target, pages, known))
    ]


def search(pages: Iterable[Page], text: str) -> list[tuple[float, Page]]:
    """Pages that hold every word of the text, best first: a word in the title counts more than any number of them in the body, and a whole
    word there more than one that only begins so."""
    wanted = _words(text)
    if not wanted:
        return []
    scored = []
    for page in pages:
        title, body = _words(page.title), _words(words_of(page.markdown))
        hits = [
            _IN_TITLE * (word in title) + _IN_TITLE * bool(_count(title, word)) + min(_count(body, word), MOST_IN_BODY)
            for word in wanted
        ]
        if all(hits):
            scored.append((float(sum(hits)), page))
    return sorted(scored, key=lambda one: (-one[0], one[1].path))


def excerpt(page: Page, text: str, width: int = 160) -> str:
    """The words around the first hit, without the title, which stands above them, and without the source of diagrams."""
    flat = " ".join(words_of(_DIAGRAM.sub("", page.markdown)).split()).removeprefix(page.title).lstrip()
    at = min((found for word in _words(text) if (found := flat.lower().find(word)) >= 0), default=0)
    begin = max(0, at - width // 3)
    return ("…" if begin else "") + flat[begin : begin + width] + ("…" if begin + width < len(flat) else "")


def is_address(target: str) -> bool:
    """Whether a link leads to another host or by another scheme."""
    return bool(re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE)) or target.startswith("//")


def _fault(page: Page, target: str, pages: Mapping[str, Page], files: set[str]) -> str:
    if is_address(target) or target.startswith("/"):
        return ""  # Elsewhere, or a page of Opsroom that is no document.
    path, _, anchor = unquote(target).partition("#")
    path = path.partition("?")[0]
    where = posixpath.normpath(posixpath.join(posixpath.dirname(page.path), path)) if path else page.path
    if where not in pages and where not in files:
        return f"there is no {where}"
    if anchor and where in pages and anchor not in anchors_of(pages[where].markdown):
        return f"{where} has no heading #{anchor}"
    return ""


def _folders(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _count(words: Sequence[str], wanted: str) -> int:
    return sum(1 for word in words if word.startswith(wanted))
