"""The tables of configuration, append-only."""

from __future__ import annotations

from opsroom.kernel.migrations import Migration, Retention

MIGRATIONS = (
    Migration(
        name="configuration-0001",
        statements=(
            """CREATE TABLE plans (
                id TEXT PRIMARY KEY, target TEXT NOT NULL, commit_id TEXT NOT NULL, digest TEXT NOT NULL, plan TEXT NOT NULL,
                state TEXT NOT NULL, created TEXT NOT NULL, created_by TEXT NOT NULL, event TEXT NOT NULL, request TEXT NOT NULL,
                applied_by TEXT NOT NULL, finished TEXT, reason TEXT NOT NULL)""",
            "CREATE INDEX plans_target ON plans (target, state)",
            "CREATE INDEX plans_request ON plans (request)",
            """CREATE TABLE managed_objects (
                target TEXT NOT NULL, path TEXT NOT NULL, mark TEXT NOT NULL, commit_id TEXT NOT NULL, event TEXT NOT NULL,
                seen TEXT NOT NULL, PRIMARY KEY (target, path))""",
            """CREATE TABLE drift (
                id TEXT PRIMARY KEY, target TEXT NOT NULL, path TEXT NOT NULL, mark TEXT NOT NULL, differs TEXT NOT NULL,
                owner TEXT NOT NULL, modified TEXT, found TEXT NOT NULL, event TEXT NOT NULL, ended TEXT)""",
            "CREATE INDEX drift_open ON drift (target, ended)",
        ),
        retention={
            "plans": Retention(why="what was approved and applied is evidence", days=400, column="created"),
            "managed_objects": Retention(why="how each file last was as it should be"),
            "drift": Retention(
                why="who changed what outside is evidence", days=400, column="ended", only="ended IS NOT NULL"
            ),
        },
    ),
)
