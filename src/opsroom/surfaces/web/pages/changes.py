"""The ledger as a person reads it: a list to filter, one event with its causes and effects, two moments compared."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from opsroom.contracts.formats import short
from opsroom.contracts.pages import PageDeclaration, PageRequest, View
from opsroom.kernel.errors import NotFound
from opsroom.surfaces.web.scope import read_scope

if TYPE_CHECKING:
    from opsroom.kernel.ledger import Event
    from opsroom.surfaces.web.frame import Web

PAGE = 60
COMPARED = 2000
NOTHING_SEEN = 10


class ChangesPages:
    """`/changes`, `/changes/compare` and `/changes/{id}`."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self.pages = (
            PageDeclaration(path="/changes", title="Changes", render=self._list, nav="Changes", key="c"),
            PageDeclaration(path="/changes/compare", title="Compare two moments", render=self._compare),
            PageDeclaration(path="/changes/{id}", title="Change", render=self._show),
        )

    def _list(self, asked: PageRequest) -> View:
        query = asked.query
        type, actor, after = query.get("type", ""), query.get("actor", ""), query.get("after", "")
        types: Sequence[str] = (type,) if type else self._web.sentences.changes() if query.get("only") else ()
        events, more = self._visible(asked, types, _subjects(asked), actor, after)
        return View(
            template="pages/changes.html",
            values={
                "events": events, "next": events[-1].id if more and events else "", "types": self._web.sentences.types(),
                "type": type, "actor": actor, "subject": query.get("subject", ""), "only": query.get("only", ""), "after": after,
                "verify": "ledger.verify" if "ledger.verify" in self._web.operations else "",
            },
            title="Changes",
            api="/api/v1/events",
            live=() if after else ("",),
        )  # fmt: skip

    def _visible(
        self, asked: PageRequest, types: Sequence[str], subjects: Sequence[str], actor: str, after: str
    ) -> tuple[list[Event], bool]:
        """One page of what this person may see, and whether there is more; gives up after a while where they see nothing."""
        sight, seen = asked.call.sight, []
        for _ in range(NOTHING_SEEN):
            batch = self._web.plane.ledger.find(
                types=types, subjects=subjects, actor=actor, since=asked.scope.since, until=asked.scope.until,
                after=after, limit=PAGE + 1,
            )  # fmt: skip
            seen += [event for event in batch if sight.shows(event)]
            if len(seen) > PAGE or len(batch) <= PAGE:
                break
            after = batch[-1].id
        return seen[:PAGE], len(seen) > PAGE

    def _show(self, asked: PageRequest) -> View:
        ledger, sight = self._web.plane.ledger, asked.call.sight
        id = asked.params["id"]
        chain = ledger.chain(id)
        if not sight.shows(chain[0]):
            raise NotFound(f"event {id!r} is not in the ledger")
        effects = [event for event in ledger.effects(id) if sight.shows(event)]
        return View(
            template="pages/change.html",
            values={
                "event": chain[0],
                "causes": [event for event in reversed(chain[1:]) if sight.shows(event)],
                "effects": effects,
                "later": {event.id: len(ledger.effects(event.id)) for event in effects},
                "text": json.dumps(dict(chain[0].data), indent=2, ensure_ascii=False, default=str),
            },
            title=self._web.sentences.plain(chain[0]),
            api=f"/api/v1/events/{id}",
            live=("",),
        )

    def _compare(self, asked: PageRequest) -> View:
        now = asked.call.plane.clock.now()
        scope = read_scope({"since": asked.query.get("from", "24h"), "until": asked.query.get("to", "")}, now)
        sight = asked.call.sight
        found = self._web.plane.ledger.find(
            subjects=_subjects(asked), since=scope.since, until=scope.until, limit=COMPARED
        )
        events = [event for event in found if sight.shows(event)]
        changes = [event for event in events if self._web.sentences.is_change(event.type)]
        return View(
            template="pages/compare.html",
            values={
                "since": scope.since, "until": scope.until, "from": asked.query.get("from", "24h"),
                "to": asked.query.get("to", ""), "groups": _by_subject(changes), "counts": Counter(e.type for e in events).most_common(),
                "cut": len(found) == COMPARED, "total": len(events), "changes": len(changes),
            },
            title="Compare two moments",
            api="/api/v1/events",
        )  # fmt: skip


def _subjects(asked: PageRequest) -> list[str]:
    scoped = (("service", asked.scope.service), ("environment", asked.scope.environment), ("team", asked.scope.team))
    given = [asked.query["subject"]] if asked.query.get("subject") else []
    return given + [f"{kind}:{value}" for kind, value in scoped if value]


def _by_subject(events: Sequence[Event]) -> list[tuple[str, list[Event]]]:
    """Changes grouped by what they touched (a service, a repository, else a thing with a name), the group with the newest first."""
    groups: dict[str, list[Event]] = {}
    for event in events:
        kinds = {one.partition(":")[0]: one for one in reversed(event.subjects)}
        named = [one for one in event.subjects if short(one.partition(":")[2]) == one.partition(":")[2]]
        about = kinds.get("service") or kinds.get("repository") or next(iter(named), "")
        groups.setdefault(about, []).append(event)
    newest: dict[str, datetime] = {about: max(event.time for event in group) for about, group in groups.items()}
    return sorted(groups.items(), key=lambda group: newest[group[0]], reverse=True)
