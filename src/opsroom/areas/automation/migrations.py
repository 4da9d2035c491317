"""The tables of automation, append-only."""

from __future__ import annotations

from opsroom.kernel.migrations import Migration, Retention

MIGRATIONS = (
    Migration(
        name="automation-0001",
        statements=(
            """CREATE TABLE backups (
                id TEXT PRIMARY KEY, key TEXT NOT NULL, name TEXT NOT NULL, store TEXT NOT NULL, digest TEXT NOT NULL,
                bytes BIGINT NOT NULL, manifest TEXT NOT NULL, made TEXT NOT NULL, event TEXT NOT NULL,
                verified TEXT, verified_event TEXT NOT NULL, fault TEXT NOT NULL, deleted TEXT)""",
            "CREATE UNIQUE INDEX backups_key ON backups (key)",
            "CREATE INDEX backups_name ON backups (name, id)",
        ),
        retention={"backups": Retention(why="which backups there were, and which were proven by a restore")},
    ),
)
