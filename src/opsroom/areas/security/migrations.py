"""The tables of security, append-only."""

from __future__ import annotations

from opsroom.kernel.migrations import Migration, Retention

MIGRATIONS = (
    Migration(
        name="security-0001",
        statements=(
            """CREATE TABLE scans (
                id TEXT PRIMARY KEY, key TEXT NOT NULL, scanner TEXT NOT NULL, repository TEXT NOT NULL, ref TEXT NOT NULL,
                target TEXT NOT NULL, scope TEXT NOT NULL, service TEXT NOT NULL, commit_id TEXT NOT NULL,
                digest TEXT NOT NULL, run TEXT NOT NULL, verdict TEXT NOT NULL, unchecked TEXT NOT NULL,
                looked_at BIGINT NOT NULL, new BIGINT NOT NULL, open BIGINT NOT NULL, older INTEGER NOT NULL,
                accepted INTEGER NOT NULL, started TEXT NOT NULL, finished TEXT NOT NULL, event TEXT NOT NULL)""",
            "CREATE UNIQUE INDEX scans_key ON scans (key)",
            "CREATE INDEX scans_scope ON scans (scope, id)",
            "CREATE INDEX scans_commit ON scans (commit_id, id)",
            "CREATE INDEX scans_run ON scans (run, id)",
            """CREATE TABLE findings (
                id TEXT PRIMARY KEY, scanner TEXT NOT NULL, repository TEXT NOT NULL, fingerprint TEXT NOT NULL,
                rule TEXT NOT NULL, severity TEXT NOT NULL, title TEXT NOT NULL, fix TEXT NOT NULL, service TEXT NOT NULL,
                places TEXT NOT NULL, covers TEXT NOT NULL, state TEXT NOT NULL, commit_id TEXT NOT NULL,
                digest TEXT NOT NULL, opened TEXT NOT NULL, seen TEXT NOT NULL, closed TEXT,
                opened_event TEXT NOT NULL, closed_event TEXT NOT NULL)""",
            "CREATE UNIQUE INDEX findings_identity ON findings (scanner, repository, fingerprint)",
            "CREATE INDEX findings_state ON findings (state, id)",
            "CREATE INDEX findings_service ON findings (service, state, id)",
            "CREATE INDEX findings_commit ON findings (commit_id)",
            """CREATE TABLE finding_presence (
                finding TEXT NOT NULL, scope TEXT NOT NULL, scan TEXT NOT NULL, places TEXT NOT NULL, covers TEXT NOT NULL,
                PRIMARY KEY (finding, scope))""",
            "CREATE INDEX finding_presence_scope ON finding_presence (scope)",
            "CREATE TABLE scan_findings (scan TEXT NOT NULL, finding TEXT NOT NULL, PRIMARY KEY (scan, finding))",
            "CREATE INDEX scan_findings_finding ON scan_findings (finding)",
        ),
        retention={
            "scans": Retention(why="evidence of what was looked at before it was deployed"),
            "findings": Retention(why="a finding that comes back must be known again"),
            "finding_presence": Retention(why="one row a finding and branch where it is there now"),
            "scan_findings": Retention(why="which digest had which finding"),
        },
    ),
    Migration(
        name="security-0002",
        statements=(
            """CREATE TABLE gate_decisions (
                id TEXT PRIMARY KEY, key TEXT NOT NULL, gate TEXT NOT NULL, service TEXT NOT NULL, environment TEXT NOT NULL,
                digest TEXT NOT NULL, commit_id TEXT NOT NULL, run TEXT NOT NULL, verdict TEXT NOT NULL, inputs TEXT NOT NULL,
                evidence TEXT NOT NULL, created TEXT NOT NULL, event TEXT NOT NULL)""",
            "CREATE UNIQUE INDEX gate_decisions_key ON gate_decisions (key)",
            "CREATE INDEX gate_decisions_digest ON gate_decisions (digest, environment, id)",
            "CREATE INDEX gate_decisions_run ON gate_decisions (run, id)",
            """CREATE TABLE control_evidence (
                id TEXT PRIMARY KEY, baseline TEXT NOT NULL, control TEXT NOT NULL, title TEXT NOT NULL,
                verdict TEXT NOT NULL, events TEXT NOT NULL, as_of TEXT NOT NULL, event TEXT NOT NULL)""",
            "CREATE INDEX control_evidence_control ON control_evidence (control, id)",
        ),
        retention={
            "gate_decisions": Retention(why="why something was let into an environment is evidence"),
            "control_evidence": Retention(why="dated evidence for audits"),
        },
    ),
)
