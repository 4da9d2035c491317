"""The tables of performance, append-only."""

from __future__ import annotations

from opsroom.kernel.migrations import Migration, Retention

MIGRATIONS = (
    Migration(
        name="performance-0001",
        statements=(
            """CREATE TABLE load_tests (
                id TEXT PRIMARY KEY, key TEXT NOT NULL, test TEXT NOT NULL, service TEXT NOT NULL,
                environment TEXT NOT NULL, digest TEXT NOT NULL, run TEXT NOT NULL, verdict TEXT NOT NULL,
                rate DOUBLE PRECISION NOT NULL, requests BIGINT NOT NULL, failed BIGINT NOT NULL, late BIGINT NOT NULL,
                buckets TEXT NOT NULL, reasons TEXT NOT NULL, broken TEXT NOT NULL, started TEXT NOT NULL,
                finished TEXT NOT NULL, event TEXT NOT NULL)""",
            "CREATE UNIQUE INDEX load_tests_key ON load_tests (key)",
            "CREATE INDEX load_tests_test ON load_tests (test, environment, id)",
            "CREATE INDEX load_tests_run ON load_tests (run)",
            """CREATE TABLE traffic_sessions (
                id TEXT PRIMARY KEY, service TEXT NOT NULL, environment TEXT NOT NULL, test TEXT NOT NULL,
                actor TEXT NOT NULL, started TEXT NOT NULL, told BIGINT NOT NULL)""",
            """CREATE TABLE traffic (
                session TEXT NOT NULL, second BIGINT NOT NULL, service TEXT NOT NULL, environment TEXT NOT NULL,
                sent BIGINT NOT NULL, failed BIGINT NOT NULL, reasons TEXT NOT NULL, buckets TEXT NOT NULL,
                PRIMARY KEY (session, second))""",
            "CREATE INDEX traffic_place ON traffic (service, environment, second)",
        ),
        retention={
            "load_tests": Retention(why="baselines and trends", days=400, column="finished"),
            "traffic_sessions": Retention(why="one row a generator"),
            "traffic": Retention(
                why="what a deployment had to carry; events keep the sums", days=30, column="second", epoch=True
            ),
        },
    ),
    Migration(
        name="performance-0002",
        statements=(
            "ALTER TABLE load_tests ADD COLUMN resent BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE traffic ADD COLUMN resent BIGINT NOT NULL DEFAULT 0",
        ),
        retention={},
    ),
    Migration(
        name="performance-0003",
        statements=(
            """CREATE TABLE load_windows (
                key TEXT PRIMARY KEY, test TEXT NOT NULL, service TEXT NOT NULL, environment TEXT NOT NULL,
                run TEXT NOT NULL, mutes INTEGER NOT NULL, started TEXT NOT NULL, planned TEXT NOT NULL, ended TEXT,
                event TEXT NOT NULL)""",
            "CREATE INDEX load_windows_planned ON load_windows (planned)",
            "CREATE INDEX traffic_second ON traffic (second)",
        ),
        retention={
            "load_windows": Retention(why="when load tests ran; results keep the rest", days=30, column="planned")
        },
    ),
)
