"""The tables of collaboration, append-only."""

from __future__ import annotations

from opsroom.kernel.migrations import Migration, Retention

MIGRATIONS = (
    Migration(
        name="collaboration-0001",
        statements=(
            """CREATE TABLE notifications (
                id TEXT PRIMARY KEY, channel TEXT NOT NULL, event TEXT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL,
                attempts INTEGER NOT NULL, detail TEXT NOT NULL, made TEXT NOT NULL, sent TEXT, sent_event TEXT NOT NULL)""",
            "CREATE UNIQUE INDEX notifications_once ON notifications (channel, event)",
            "CREATE INDEX notifications_state ON notifications (state)",
        ),
        retention={"notifications": Retention(why="who was told what, and when", days=400, column="made")},
    ),
)
