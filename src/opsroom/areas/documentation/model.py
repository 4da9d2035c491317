"""A page of the documents, and what was found in it. Pure."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)


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
        return hashlib.sha256("\0".join((self.title, self.markdown, *self.events)).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A link that leads nowhere."""

    page: str
    target: str
    reason: str


def links_of(markdown: str) -> list[str]:
    """The targets of the links of a text, in order, code left out."""
    return list(dict.fromkeys(_LINK.findall(_FENCE.sub("", markdown))))


def anchors_of(markdown: str) -> set[str]:
    """The anchors its headings give, as they are rendered."""
    return {slug(heading) for heading in _HEADING.findall(_FENCE.sub("", markdown))}


def slug(heading: str) -> str:
    """The anchor of a heading: lower case, words joined by hyphens (as GitHub makes them)."""
    bare = re.sub(r"[`*_]|\[([^\]]*)\]\([^)]*\)", lambda found: found[1] or "", heading)
    return re.sub(r"\s+", "-", re.sub(r"[^\w\- ]", "", bare.lower()).strip())


def broken_links(pages: Mapping[str, Page], files: Iterable[str]) -> list[Broken]:
    """Links between pages, to files of the ops repo and to anchors that lead nowhere. Addresses of other hosts are not checked."""
    known = set(files)
    return [
        Broken(page=page.path, target=target, reason=reason)
        for page in pages.values()
        for target in links_of(page.markdown)
        if (reason := _fault(page, target, pages, known))
    ]


def search(pages: Iterable[Page], text: str) -> list[tuple[float, Page]]:
    """Pages that hold every word of the text, best first: words of the title count five times those of the body."""
    wanted = _words(text)
    if not wanted:
        return []
    scored = []
    for page in pages:
        title, body = _words(page.title), _words(page.markdown)
        hits = [5 * _count(title, word) + min(_count(body, word), 10) for word in wanted]
        if all(hits):
            scored.append((float(sum(hits)), page))
    return sorted(scored, key=lambda one: (-one[0], one[1].path))


def excerpt(page: Page, text: str, width: int = 160) -> str:
    """The words around the first hit."""
    flat = re.sub(r"\s+", " ", page.markdown)
    at = min((found for word in _words(text) if (found := flat.lower().find(word)) >= 0), default=0)
    begin = max(0, at - width // 3)
    return ("…" if begin else "") + flat[begin : begin + width] + ("…" if begin + width < len(flat) else "")


def _fault(page: Page, target: str, pages: Mapping[str, Page], files: set[str]) -> str:
    if re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE) or target.startswith("//"):
        return ""
    path, _, anchor = target.partition("#")
    if path.startswith("/"):
        return ""  # A page of Opsroom itself, not of the documents.
    where = posixpath.normpath(posixpath.join(posixpath.dirname(page.path), path)) if path else page.path
    if where not in pages and where not in files:
        return f"there is no {where}"
    if anchor and where in pages and anchor not in anchors_of(pages[where].markdown):
        return f"{where} has no heading #{anchor}"
    return ""


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _count(words: Sequence[str], wanted: str) -> int:
    return sum(1 for word in words if word.startswith(wanted))
