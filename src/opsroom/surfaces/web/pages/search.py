"""Search over everything: pages and verbs of the frame, services and events, and what areas find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.contracts.pages import PageDeclaration, PageRequest, View
from opsroom.kernel.errors import NotFound
from opsroom.surfaces.web.catalogue import Catalogue
from opsroom.surfaces.web.sight import Sight

if TYPE_CHECKING:
    from opsroom.kernel.ledger import Event
    from opsroom.surfaces.web.frame import Web

LOOKED_THROUGH = 500
SHOWN = 8


class SearchPage:
    """`/search?q=`: every word must be found. Areas answer by `search` parts, which read `query["q"]`."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self.pages = (PageDeclaration(path="/search", title="Search", render=self._render),)

    def _render(self, asked: PageRequest) -> View:
        text = asked.query.get("q", "").strip()
        words = text.casefold().split()
        values = {
            "q": text,
            "asked": asked,
            "entries": [one for one in self._web.entries if _has(one.words, words)][:SHOWN],
            "services": [name for name in Catalogue(self._web.plane).services() if _has(name, words)][:SHOWN],
            "verbs": [
                one.operation
                for one in self._web.operations.values()
                if _has(f"{one.operation.name} {one.operation.summary}", words)
            ][:SHOWN],
            "events": self._events(asked, text, words),
        }
        return View(template="pages/search.html", values=values, title=f"Search: {text}" if text else "Search")

    def _events(self, asked: PageRequest, text: str, words: list[str]) -> list[Event]:
        """An event by its id, else the newest whose sentence, type or subjects hold every word."""
        ledger, sight = self._web.plane.ledger, Sight(asked.call)
        if not words:
            return []
        if text.startswith("evt_"):
            try:
                return [event for event in [ledger.get(text)] if sight.sees(event)]
            except NotFound:
                return []
        exact = ledger.find(subjects=[text], limit=SHOWN) if ":" in text else []
        recent = exact or [
            event
            for event in ledger.find(limit=LOOKED_THROUGH)
            if _has(f"{self._web.sentences.plain(event)} {event.type} {' '.join(event.subjects)}", words)
        ]
        return [event for event in recent if sight.sees(event)][:SHOWN]


def _has(text: str, words: list[str]) -> bool:
    folded = text.casefold()
    return bool(words) and all(word in folded for word in words)
