"""The ledger by its words: an index of every sealed event, so that a search finds the oldest as fast as the newest."""

from __future__ import annotations

import re
from collections.abc import Sequence

import sqlalchemy as sa

from opsroom.contracts.area import Duty
from opsroom.contracts.facts import Answer, EventsWith, Found
from opsroom.contracts.plane import Plane
from opsroom.contracts.sentences import Sentences
from opsroom.kernel.ledger import Event
from opsroom.kernel.store import table

CURSOR = "event-words"
BATCH = 500
LONGEST = 64
MOST = 60
"""So many words of one event are kept."""

WORDS = table("event_words", "word", "event")
_WORD = re.compile(r"[^\W_]+", re.UNICODE)


def take_in(plane: Plane) -> None:
    """Indexes what was sealed since the last time, at most a batch. What was erased is taken out."""
    events = plane.ledger.read(plane.ledger.cursor(CURSOR), limit=BATCH)
    if not events:
        return
    sentences = Sentences([one for area in plane.areas for one in area.events])
    erased = {str(event.data.get("event")) for event in events if event.type == "event.erased"}
    rows = [
        {"word": word, "event": event.id} for event in events if not event.erased for word in _words(sentences, event)
    ]
    with plane.store.begin() as tx:
        tx.execute(sa.delete(WORDS).where(WORDS.c.event.in_([event.id for event in events] + sorted(erased))))
        kept = [row for row in rows if row["event"] not in erased]
        if kept:
            tx.execute(sa.insert(WORDS), kept)
        plane.ledger.advance(tx, CURSOR, events[-1].seq or 0)


def events_with(plane: Plane, asked: EventsWith) -> Answer[Found]:
    """The newest events with every word of the text, and how far the index is behind the ledger."""
    behind = max(0, plane.ledger.last_seq() - plane.ledger.cursor(CURSOR))
    found = _find(plane, asked) if words_in(asked.text) else ()
    return Answer(value=Found(events=found, behind=behind), at=plane.clock.now())


def words_in(text: str) -> list[str]:
    """The words of a text, each once, in small letters: runs of letters and digits, so an id falls into its parts."""
    return list(dict.fromkeys(word.lower()[:LONGEST] for word in _WORD.findall(text)))


def _words(sentences: Sentences, event: Event) -> Sequence[str]:
    return words_in(" ".join((event.type, event.actor, *event.subjects, sentences.tell(event))))[:MOST]


def _find(plane: Plane, asked: EventsWith) -> tuple[str, ...]:
    first, *others = sorted(words_in(asked.text), key=len, reverse=True)
    found = sa.select(WORDS.c.event).where(_begins(plane, first))
    for word in others:
        found = found.where(WORDS.c.event.in_(sa.select(WORDS.c.event).where(_begins(plane, word))))
    with plane.store.read() as tx:
        rows = tx.rows(found.distinct().order_by(WORDS.c.event.desc()).limit(asked.limit))
    return tuple(str(row["event"]) for row in rows)


def _begins(plane: Plane, word: str) -> sa.ColumnElement[bool]:
    """Only SQLite compares text by its bytes whatever the locale, which makes a beginning a range of its index."""
    if plane.store.dialect == "sqlite":
        return sa.and_(WORDS.c.word >= word, WORDS.c.word < word + "\U0010ffff")
    return WORDS.c.word.startswith(word, autoescape=True)


DUTIES = (Duty(name=CURSOR, seconds=2.0, run=take_in),)
