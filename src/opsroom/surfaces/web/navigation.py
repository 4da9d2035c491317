"""The menu, its keys and icons, and the way a page sits in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsroom.contracts.pages import PageDeclaration

ICONS = {
    "/": "layout-dashboard", "/services": "boxes", "/changes": "history", "/runs": "play", "/deployments": "rocket",
    "/explore": "chart-line", "/alerts": "bell", "/incidents": "siren", "/tasks": "terminal", "/backups": "archive",
    "/catalog": "book-open", "/dora": "trending-up", "/inventory": "server", "/security": "shield", "/findings": "shield-alert",
    "/configuration": "sliders-horizontal", "/drift": "git-compare", "/performance": "activity", "/loadtests": "zap",
    "/costs": "coins", "/cost": "coins", "/docs": "file-text", "/documentation": "file-text", "/on-call": "phone",
    "/automation": "repeat", "/collaboration": "users", "/infrastructure": "server", "/workflows": "workflow",
    "/schedules": "alarm-clock", "/secrets": "key", "/people": "user", "/targets": "radar", "/compliance": "clipboard-check",
}  # fmt: skip
"""The icon of a menu entry by its path; the rest have a circle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the menu. `key` is pressed after `g` ("" : none)."""

    path: str
    words: str
    key: str
    icon: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Crumb:
    """A step of the way here; the last has no `path`."""

    words: str
    path: str = ""


def menu(pages: Iterable[PageDeclaration]) -> tuple[Entry, ...]:
    """The pages that want to be in the menu, in the order given. A key that two pages want is a mistake of ours: ValueError."""
    entries: list[Entry] = []
    taken: dict[str, str] = {}
    for page in pages:
        if not page.nav:
            continue
        if page.key and page.key in taken:
            raise ValueError(f"{page.path} and {taken[page.key]} both want the keys g {page.key}; give one another key")
        if page.key:
            taken[page.key] = page.path
        entries.append(Entry(path=page.path, words=page.nav, key=page.key, icon=ICONS.get(page.path, "circle")))
    return tuple(entries)


def current(entries: Sequence[Entry], path: str) -> Entry | None:
    """The entry the page at `path` belongs to: the longest that starts it."""
    fitting = [one for one in entries if path == one.path or (one.path != "/" and path.startswith(one.path + "/"))]
    return max(fitting, key=lambda one: len(one.path), default=None)


def crumbs(entries: Sequence[Entry], path: str, title: str) -> tuple[Crumb, ...]:
    """Where the page is: its menu entry, then itself."""
    entry = current(entries, path)
    if entry is None or entry.path == path:
        return (Crumb(words=title),)
    return (Crumb(words=entry.words, path=entry.path), Crumb(words=title))
