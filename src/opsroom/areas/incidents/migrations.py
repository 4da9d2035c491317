"""The tables of incidents, append-only."""

from __future__ import annotations

from opsroom.kernel.migrations import Migration, Retention

MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        name="incidents-0001",
        statements=(
            """CREATE TABLE incidents (
                id TEXT PRIMARY KEY, key TEXT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL, severity TEXT NOT NULL,
                service TEXT NOT NULL, environment TEXT NOT NULL, alert TEXT NOT NULL, owner TEXT NOT NULL,
                onset TEXT NOT NULL, opened TEXT NOT NULL, acknowledged TEXT, acknowledged_by TEXT NOT NULL,
                resolved TEXT, resolved_by TEXT NOT NULL, automatic INTEGER NOT NULL, note TEXT NOT NULL,
                runbook TEXT NOT NULL, suspects TEXT NOT NULL, timers TEXT NOT NULL, unpaged TEXT NOT NULL,
                previous TEXT NOT NULL, opened_event TEXT NOT NULL, resolved_event TEXT NOT NULL)""",
            "CREATE UNIQUE INDEX incidents_key ON incidents (key)",
            "CREATE INDEX incidents_state ON incidents (state, environment, service)",
            """CREATE TABLE incident_alerts (
                incident TEXT NOT NULL, fingerprint TEXT NOT NULL, name TEXT NOT NULL, service TEXT NOT NULL,
                environment TEXT NOT NULL, severity TEXT NOT NULL, summary TEXT NOT NULL, value DOUBLE PRECISION,
                expr TEXT NOT NULL, fired TEXT NOT NULL, resolved TEXT, fired_event TEXT NOT NULL,
                resolved_event TEXT NOT NULL, PRIMARY KEY (incident, fingerprint))""",
            "CREATE INDEX incident_alerts_fingerprint ON incident_alerts (fingerprint)",
            """CREATE TABLE incident_pages (
                id TEXT PRIMARY KEY, incident TEXT NOT NULL, step INTEGER NOT NULL, channel TEXT NOT NULL,
                provider TEXT NOT NULL, address TEXT NOT NULL, people TEXT NOT NULL, state TEXT NOT NULL,
                attempts INTEGER NOT NULL, error TEXT NOT NULL, receiver TEXT NOT NULL, created TEXT NOT NULL,
                sent TEXT, delivered TEXT, next_try TEXT, sent_event TEXT NOT NULL)""",
            "CREATE INDEX incident_pages_incident ON incident_pages (incident, id)",
            """CREATE TABLE action_items (
                id TEXT PRIMARY KEY, incident TEXT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL, owner TEXT NOT NULL,
                opened TEXT NOT NULL, closed TEXT, closed_by TEXT NOT NULL, note TEXT NOT NULL, opened_event TEXT NOT NULL)""",
            "CREATE INDEX action_items_incident ON action_items (incident, id)",
            "CREATE INDEX action_items_state ON action_items (state, id)",
            """CREATE TABLE postmortems (
                incident TEXT PRIMARY KEY, markdown TEXT NOT NULL, drafted TEXT NOT NULL, event TEXT NOT NULL)""",
        ),
        retention={
            "incidents": Retention(why="what went wrong and what was learnt is kept"),
            "incident_alerts": Retention(why="part of the incident"),
            "incident_pages": Retention(why="who was called and whether it arrived is evidence"),
            "action_items": Retention(why="an open action outlives its incident"),
            "postmortems": Retention(why="what was learnt is kept"),
        },
    ),
)
