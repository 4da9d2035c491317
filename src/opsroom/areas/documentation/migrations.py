"""The tables of documentation, append-only."""

from __future__ import annotations

from opsroom.kernel.migrations import Migration, Retention

MIGRATIONS = (
    Migration(
        name="documentation-0001",
        statements=(
            """CREATE TABLE doc_pages (
                path TEXT PRIMARY KEY, title TEXT NOT NULL, kind TEXT NOT NULL, service TEXT NOT NULL,
                markdown TEXT NOT NULL, digest TEXT NOT NULL, place TEXT NOT NULL, events TEXT NOT NULL,
                changed TEXT NOT NULL)""",
            """CREATE TABLE doc_links (
                page TEXT NOT NULL, target TEXT NOT NULL, reason TEXT NOT NULL, found TEXT NOT NULL, event TEXT NOT NULL,
                PRIMARY KEY (page, target))""",
        ),
        retention={
            "doc_pages": Retention(why="built anew from the ops repo and the ledger"),
            "doc_links": Retention(why="broken links as they stand now"),
        },
    ),
    Migration(
        name="documentation-0002",
        statements=(
            "CREATE TABLE event_words (word TEXT NOT NULL, event TEXT NOT NULL, PRIMARY KEY (word, event))",
            "CREATE INDEX event_words_event ON event_words (event)",
        ),
        retention={"event_words": Retention(why="index of the ledger; without the words of payloads that were erased")},
    ),
)
