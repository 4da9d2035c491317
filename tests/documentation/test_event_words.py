"""The ledger by its words: everything sealed is found, by beginnings of words, and what was erased is not."""

from __future__ import annotations

import pytest

from opsroom.areas.documentation import event_words
from opsroom.contracts.facts import EventsWith


def _find(room, text, limit=10):
    room.plane.ledger.seal()
    while room.plane.ask(EventsWith(text=text, limit=limit)).value.behind:
        event_words.take_in(room.plane)
    return list(room.plane.ask(EventsWith(text=text, limit=limit)).value.events)


def test_events_are_found_by_words_of_their_sentence_subjects_and_type(room):
    wanted = room.record(
        "link.broken", "service:storefront", page="docs/a.md", target="../gone.md", reason="there is no gone.md"
    )
    room.record("link.broken", "service:inventory", page="docs/b.md", target="x", reason="there is no x")
    for text in ("gone", "leads nowhere storefront", "LINK store", "docs/a.md"):
        assert _find(room, text) == [wanted.id]
    assert _find(room, "gone inventory") == []
    assert _find(room, "::") == []


def test_the_oldest_of_many_is_found_and_the_newest_come_first(room):
    first = room.record("link.broken", page="first.md", target="a", reason="unheard-of")
    others = [room.record("link.broken", page=f"p{number}.md", target="a", reason="b") for number in range(30)]
    assert _find(room, "unheard") == [first.id]
    assert _find(room, "nowhere", limit=3) == [event.id for event in reversed(others[-3:])]


def test_what_was_erased_is_found_no_more(room):
    told = room.record("link.broken", page="a.md", target="b", reason="told-in-confidence")
    assert _find(room, "confidence") == [told.id]
    with room.plane.store.begin() as tx:
        room.plane.ledger.erase(tx, told.id, actor="person:admin", reason="asked for")
    assert _find(room, "confidence") == []


@pytest.mark.parametrize(("text", "words"), [("evt_01ab: A-b A", ["evt", "01ab", "a", "b"]), ("", [])])
def test_words(text, words):
    assert event_words.words_in(text) == words
