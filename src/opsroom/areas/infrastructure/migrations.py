"""The tables of infrastructure, append-only."""

from __future__ import annotations

from opsroom.kernel.migrations import Migration, Retention

MIGRATIONS = (
    Migration(
        name="infrastructure-0001",
        statements=(
            """CREATE TABLE inventory (
                host TEXT PRIMARY KEY, facts TEXT NOT NULL, seen TEXT NOT NULL, event TEXT NOT NULL)""",
            """CREATE TABLE runners (
                name TEXT PRIMARY KEY, registered TEXT NOT NULL, event TEXT NOT NULL)""",
            """CREATE TABLE certificates (
                address TEXT PRIMARY KEY, expires TEXT, begins TEXT, issuer TEXT NOT NULL, checked TEXT NOT NULL,
                error TEXT NOT NULL)""",
            """CREATE TABLE expiry_notices (
                notice TEXT PRIMARY KEY, told TEXT NOT NULL, event TEXT NOT NULL)""",
        ),
        retention={
            "inventory": Retention(why="one row a machine, as it was last seen"),
            "runners": Retention(why="one row a runner"),
            "certificates": Retention(why="the last look at each address", days=30, column="checked"),
            "expiry_notices": Retention(why="nobody is told twice of the same day", days=800, column="told"),
        },
    ),
)
