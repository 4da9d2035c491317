"""The tables of delivery, append-only."""

from __future__ import annotations

from opsroom.kernel.migrations import Migration, Retention

DEPLOYMENT_MIGRATIONS = (
    Migration(
        name="delivery-0001",
        statements=(
            """CREATE TABLE deployments (
                id TEXT PRIMARY KEY, key TEXT NOT NULL, service TEXT NOT NULL, environment TEXT NOT NULL,
                digest TEXT NOT NULL, version TEXT NOT NULL, commit_id TEXT NOT NULL, strategy TEXT NOT NULL,
                kind TEXT NOT NULL, run TEXT NOT NULL, actor TEXT NOT NULL, state TEXT NOT NULL, error TEXT NOT NULL,
                previous TEXT NOT NULL, previous_digest TEXT NOT NULL, configuration_commit TEXT NOT NULL,
                url TEXT NOT NULL, incident TEXT NOT NULL, spec TEXT NOT NULL, created TEXT NOT NULL, switched TEXT,
                finished TEXT, started_event TEXT NOT NULL, finished_event TEXT NOT NULL)""",
            "CREATE UNIQUE INDEX deployments_key ON deployments (key)",
            "CREATE INDEX deployments_place ON deployments (environment, service, id)",
            """CREATE TABLE live (
                service TEXT NOT NULL, environment TEXT NOT NULL, deployment TEXT NOT NULL,
                PRIMARY KEY (service, environment))""",
            """CREATE TABLE instances (
                id TEXT PRIMARY KEY, deployment TEXT NOT NULL, service TEXT NOT NULL, environment TEXT NOT NULL,
                number INTEGER NOT NULL, port INTEGER NOT NULL, state TEXT NOT NULL, restarts INTEGER NOT NULL,
                started TEXT NOT NULL, log TEXT NOT NULL)""",
            "CREATE INDEX instances_state ON instances (state)",
            "CREATE INDEX instances_deployment ON instances (deployment)",
        ),
        retention={
            "deployments": Retention(why="the history of every environment; rollback targets"),
            "live": Retention(why="one row a service and environment"),
            "instances": Retention(why="one row a process started; small"),
        },
    ),
)

ARTIFACT_MIGRATIONS = (
    Migration(
        name="delivery-0002",
        statements=(
            """CREATE TABLE artifacts (
                id TEXT PRIMARY KEY, key TEXT NOT NULL, digest TEXT NOT NULL, name TEXT NOT NULL, service TEXT NOT NULL,
                version TEXT NOT NULL, commit_id TEXT NOT NULL, repository TEXT NOT NULL, run TEXT NOT NULL,
                size BIGINT NOT NULL, sbom TEXT NOT NULL, provenance TEXT NOT NULL, created TEXT NOT NULL,
                event TEXT NOT NULL)""",
            "CREATE UNIQUE INDEX artifacts_key ON artifacts (key)",
            "CREATE INDEX artifacts_digest ON artifacts (digest, id)",
            "CREATE INDEX artifacts_service ON artifacts (service, id)",
            "CREATE INDEX artifacts_commit ON artifacts (commit_id, id)",
            "CREATE INDEX artifacts_run ON artifacts (run, id)",
            """CREATE TABLE test_reports (
                id TEXT PRIMARY KEY, key TEXT NOT NULL, run TEXT NOT NULL, job TEXT NOT NULL, repository TEXT NOT NULL,
                commit_id TEXT NOT NULL, service TEXT NOT NULL, tests BIGINT NOT NULL, failed BIGINT NOT NULL,
                skipped BIGINT NOT NULL, seconds DOUBLE PRECISION NOT NULL, failures TEXT NOT NULL,
                created TEXT NOT NULL, event TEXT NOT NULL)""",
            "CREATE UNIQUE INDEX test_reports_key ON test_reports (key)",
            "CREATE INDEX test_reports_run ON test_reports (run, id)",
            "CREATE INDEX test_reports_commit ON test_reports (commit_id, id)",
        ),
        retention={
            "artifacts": Retention(why="what was built from which commit; rollback targets and evidence"),
            "test_reports": Retention(why="evidence of what was tested before it was deployed"),
        },
    ),
)

MIGRATIONS = (*DEPLOYMENT_MIGRATIONS, *ARTIFACT_MIGRATIONS)
