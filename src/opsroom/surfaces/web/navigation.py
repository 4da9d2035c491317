"""The menu in its groups, its keys and icons, and the way a page sits in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsroom.contracts.pages import PageDeclaration

ICONS = {
    "/": "layout-dashboard", "/services": "boxes", "/changes": "history", "/runs": "play", "/deployments": "rocket",
    "/explore": "chart-line", "/alerts": "bell", "/incidents": "siren", "/tasks": "terminal", "/backups": "archive",
    "/dora": "trending-up", "/security": "shield", "/configuration": "sliders-horizontal", "/performance": "activity",
    "/costs": "coins", "/docs": "book-open", "/on-call": "phone", "/infrastructure": "server", "/workflows": "workflow",
    "/schedules": "alarm-clock", "/targets": "radar", "/environments": "layers", "/artifacts": "package",
    "/repositories": "git-branch", "/slos": "target", "/teams": "users",
}  # fmt: skip
"""The icon of a menu entry by its path; the rest have a circle."""

GROUPS = (
    ("/", "/services", "/changes"),
    ("/runs", "/deployments", "/tasks"),
    ("/explore", "/alerts", "/incidents"),
    ("/security", "/configuration", "/infrastructure"),
    ("/performance", "/costs", "/docs", "/teams"),
)
"""What stands together in the menu; pages that no group names come last."""

PARENTS = {
    "/workflows": "/runs", "/artifacts": "/runs", "/repositories": "/runs", "/environments": "/deployments",
    "/schedules": "/tasks", "/backups": "/tasks", "/slos": "/alerts", "/targets": "/alerts", "/on-call": "/incidents",
    "/dora": "/teams",
}  # fmt: skip
"""Entries of the second level, shown only while the reader is in the section of their parent."""

BELONGS = {"/plans": "/configuration"}
"""Pages whose address does not begin with that of the entry they belong to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the menu. `key` is pressed after `g` ("" : none); `parent` is the path of the entry it stands under ("" : none)."""

    path: str
    words: str
    key: str
    icon: str
    parent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """An entry of the first level, the entries under it, and whether the page at hand is in one of them."""

    entry: Entry
    under: tuple[Entry, ...]
    open: bool


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
        icon, parent = ICONS.get(page.path, "circle"), PARENTS.get(page.path, "")
        entries.append(Entry(path=page.path, words=page.nav, key=page.key, icon=icon, parent=parent))
    return tuple(entries)


def grouped(entries: Sequence[Entry], current: Entry | None) -> tuple[tuple[Section, ...], ...]:
    """The menu as it is drawn: groups of sections; an entry whose parent is not there is a section of its own."""
    paths = {one.path for one in entries}
    top = [one for one in entries if one.parent not in paths]
    here = (current.parent if current.parent in paths else current.path) if current else ""
    named = {path for group in GROUPS for path in group}
    rest = tuple(one.path for one in top if one.path not in named)
    by_path = {
        one.path: Section(
            entry=one, under=tuple(sub for sub in entries if sub.parent == one.path), open=one.path == here
        )
        for one in top
    }
    groups = (tuple(by_path[path] for path in group if path in by_path) for group in (*GROUPS, rest))
    return tuple(group for group in groups if group)


def current(entries: Sequence[Entry], path: str) -> Entry | None:
    """The entry the page at `path` belongs to: the longest that starts it."""
    path = next((path.replace(own, of, 1) for own, of in BELONGS.items() if path.startswith(own + "/")), path)
    fitting = [one for one in entries if path == one.path or (one.path != "/" and path.startswith(one.path + "/"))]
    return max(fitting, key=lambda one: len(one.path), default=None)


def crumbs(entries: Sequence[Entry], path: str, title: str) -> tuple[Crumb, ...]:
    """Where the page is: its section, its menu entry, then itself."""
    entry = current(entries, path)
    above = [one for one in entries if entry is not None and one.path == entry.parent]
    if entry is not None and entry.path != path:
        above.append(entry)
    return (*(Crumb(words=one.words, path=one.path) for one in above), Crumb(words=title))
