"""The tables of observability, append-only."""

from __future__ import annotations

from opsroom.kernel.migrations import Migration, Retention

MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        name="observability-0001",
        statements=(
            """CREATE TABLE scrape_targets (
                service TEXT NOT NULL, environment TEXT NOT NULL, instance TEXT NOT NULL, url TEXT NOT NULL,
                state TEXT NOT NULL, error TEXT NOT NULL, since TEXT NOT NULL, scraped TEXT NOT NULL,
                seconds DOUBLE PRECISION NOT NULL, samples BIGINT NOT NULL, event TEXT NOT NULL,
                PRIMARY KEY (service, environment, instance))""",
            """CREATE TABLE rules_in_force (
                name TEXT PRIMARY KEY, digest TEXT NOT NULL, loaded TEXT NOT NULL, event TEXT NOT NULL)""",
            """CREATE TABLE rule_groups (
                file TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, evaluated TEXT NOT NULL,
                answered TEXT NOT NULL, settles TEXT NOT NULL, seconds DOUBLE PRECISION NOT NULL, faults TEXT NOT NULL,
                revision BIGINT NOT NULL, PRIMARY KEY (file, name))""",
            """CREATE TABLE alerts (
                id TEXT PRIMARY KEY, alert_key TEXT NOT NULL, fingerprint TEXT NOT NULL, name TEXT NOT NULL,
                file TEXT NOT NULL, group_name TEXT NOT NULL, state TEXT NOT NULL, severity TEXT NOT NULL,
                service TEXT NOT NULL, environment TEXT NOT NULL, labels TEXT NOT NULL, annotations TEXT NOT NULL,
                value TEXT NOT NULL, expr TEXT NOT NULL, active_at TEXT NOT NULL, fired_at TEXT, resolved_at TEXT,
                silence TEXT NOT NULL, fired_event TEXT NOT NULL, resolved_event TEXT NOT NULL)""",
            "CREATE INDEX alerts_open ON alerts (resolved_at, file, group_name)",
            "CREATE INDEX alerts_name ON alerts (name, id)",
            """CREATE TABLE slos (
                name TEXT PRIMARY KEY, definition TEXT NOT NULL, counters TEXT NOT NULL, began TEXT NOT NULL,
                evaluated TEXT NOT NULL, budget_left DOUBLE PRECISION, burn_rate DOUBLE PRECISION,
                burn_seconds DOUBLE PRECISION NOT NULL, good DOUBLE PRECISION NOT NULL, total DOUBLE PRECISION NOT NULL,
                covered DOUBLE PRECISION NOT NULL, reason TEXT NOT NULL, level INTEGER NOT NULL, told TEXT,
                event TEXT NOT NULL)""",
            """CREATE TABLE slo_buckets (
                slo TEXT NOT NULL, start BIGINT NOT NULL, good DOUBLE PRECISION NOT NULL, total DOUBLE PRECISION NOT NULL,
                seconds DOUBLE PRECISION NOT NULL, PRIMARY KEY (slo, start))""",
        ),
        retention={
            "scrape_targets": Retention(why="what is scraped now; rows go with their targets"),
            "rules_in_force": Retention(why="one row: which rules are in force"),
            "rule_groups": Retention(why="the state of rules in force; rows go with their groups"),
            "alerts": Retention(why="which alert fired when is evidence, and few"),
            "slos": Retention(why="the last figure of each objective; rows go with their objectives"),
            "slo_buckets": Retention(why="rows older than the objective's window are removed as it is evaluated"),
        },
    ),
    Migration(
        name="observability-0002",
        statements=("ALTER TABLE alerts ADD COLUMN muted_by TEXT NOT NULL DEFAULT ''",),
        retention={},
    ),
)
