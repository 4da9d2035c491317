"""The tables of cost, append-only."""

from __future__ import annotations

from opsroom.kernel.migrations import Migration, Retention

MIGRATIONS = (
    Migration(
        name="cost-0001",
        statements=(
            """CREATE TABLE prices (
                version TEXT PRIMARY KEY, currency TEXT NOT NULL, cpu_second BIGINT NOT NULL, run BIGINT NOT NULL,
                commit_id TEXT NOT NULL, seen TEXT NOT NULL)""",
            """CREATE TABLE run_costs (
                run TEXT PRIMARY KEY, service TEXT NOT NULL, repository TEXT NOT NULL, workflow TEXT NOT NULL,
                finished TEXT NOT NULL, cpu_seconds DOUBLE PRECISION NOT NULL, micros BIGINT NOT NULL,
                currency TEXT NOT NULL, price_version TEXT NOT NULL, event TEXT NOT NULL)""",
            "CREATE INDEX run_costs_finished ON run_costs (finished)",
            "CREATE INDEX run_costs_service ON run_costs (service, finished)",
        ),
        retention={
            "prices": Retention(why="every price list that gave a cost"),
            "run_costs": Retention(why="bills are compared with years past", days=1100, column="finished"),
        },
    ),
)
