"""Search over everything: pages and verbs of the frame, services and events, and what areas find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.contracts.facts import EventsWith
from opsroom.contracts.pages import PageDeclaration, PageRequest, View
from opsroom.kernel.errors import NotFound
from opsroom.surfaces.web.catalogue import Catalogue

if TYPE_CHECKING:
    from opsroom.kernel.ledger import Event
    from opsroom.surfaces.web.frame import Web

SHOWN = 8
NEWEST = 100
"""So many events are read themselves: the index takes in the newest a moment later."""
LOOKED_THROUGH = 200
"""So many events with the words are read, to leave out what the reader may not see."""


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
            "searched": self._searched(asked, text) if words else "",
        }
        return View(template="pages/search.html", values=values, title=f"Search: {text}" if text else "Search")

    def _events(self, asked: PageRequest, text: str, words: list[str]) -> list[Event]:
        """An event by its id, else the newest by their words: of the index, and of what was recorded since."""
        ledger, sight = self._web.plane.ledger, asked.call.sight
        if not words:
            return []
        if text.startswith("evt_"):
            try:
                return [event for event in [ledger.get(text)] if sight.shows(event)]
            except NotFound:
                return []
        if ":" in text and (exact := sight.only(ledger.find(subjects=[text], limit=LOOKED_THROUGH))):
            return exact[:SHOWN]
        found = {event.id: event for event in ledger.find(limit=NEWEST) if self._told(event, words)}
        indexed = asked.call.ask(EventsWith(text=text, limit=LOOKED_THROUGH)).value
        if indexed and indexed.events:
            found |= {event.id: event for event in ledger.find(ids=indexed.events, limit=LOOKED_THROUGH)}
        newest = sorted(found.values(), key=lambda event: event.id, reverse=True)
        return sight.only(newest)[:SHOWN]

    def _told(self, event: Event, words: list[str]) -> bool:
        return _has(f"{self._web.sentences.plain(event)} {event.type} {' '.join(event.subjects)}", words)

    def _searched(self, asked: PageRequest, text: str) -> str:
        """What was looked through, for below the results."""
        found = asked.call.ask(EventsWith(text=text, limit=LOOKED_THROUGH))
        if found.value is None:
            events = f"the newest {NEWEST} events (there is no index of the older ones: {found.unknown})"
        elif found.value.behind > NEWEST:
            events = f"events, but for {found.value.behind:,} that the index has yet to take in"
        else:
            events = "every event of the ledger by its sentence, type, subjects and actor"
        parts = ", ".join(part.title.lower() for part in self._web.parts if part.where == "search")
        return f"Looked through: services, pages, verbs, {parts} and {events}. At most {SHOWN} events are shown, the newest first."


def _has(text: str, words: list[str]) -> bool:
    folded = text.casefold()
    return bool(words) and all(word in folded for word in words)
