"""The tables of identity, from the first migration on scoped by team and environment."""

from __future__ import annotations

from opsroom.kernel.migrations import Migration, Retention
from opsroom.kernel.store import table

EVENTS: tuple[tuple[str, str], ...] = (
    ("person.added", "{person} added"),
    ("person.left", "{person} left"),
    ("group.changed", "members of {group}: {members}"),
    ("role.granted", "{role} granted to {holder} on {where}"),
    ("role.ended", "{role} of {holder} on {where} ended"),
    ("token.created", "token {name} of {person} created"),
    ("token.revoked", "token {name} of {person} revoked"),
    ("link.created", "sign-in link for {person} made"),
    ("session.started", "{person} signed in"),
    ("session.ended", "{person} signed out"),
)
"""Event types of this part: name and sentence."""

MIGRATIONS = (
    Migration(
        name="actors-0001",
        statements=(
            """CREATE TABLE people (
                id TEXT PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL,
                email TEXT NOT NULL, added TEXT NOT NULL, left_at TEXT)""",
            "CREATE UNIQUE INDEX people_identity ON people (issuer, subject)",
            "CREATE TABLE memberships (person TEXT NOT NULL, team TEXT NOT NULL, PRIMARY KEY (person, team))",
            """CREATE TABLE grants (
                id TEXT PRIMARY KEY, holder TEXT NOT NULL, role TEXT NOT NULL, team TEXT NOT NULL,
                environment TEXT NOT NULL, granted_by TEXT NOT NULL, granted_at TEXT NOT NULL, expires TEXT,
                ended TEXT)""",
            "CREATE INDEX grants_holder ON grants (holder)",
            """CREATE TABLE tokens (
                id TEXT PRIMARY KEY, hash TEXT NOT NULL, person TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL,
                team TEXT NOT NULL, environment TEXT NOT NULL, created TEXT NOT NULL, created_by TEXT NOT NULL,
                expires TEXT, last_used TEXT, revoked TEXT)""",
            "CREATE UNIQUE INDEX tokens_hash ON tokens (hash)",
            """CREATE TABLE sessions (
                hash TEXT PRIMARY KEY, person TEXT NOT NULL, started TEXT NOT NULL, expires TEXT NOT NULL,
                ended TEXT)""",
            """CREATE TABLE sign_in_links (
                hash TEXT PRIMARY KEY, person TEXT NOT NULL, made TEXT NOT NULL, expires TEXT NOT NULL, used TEXT)""",
        ),
        retention={
            "people": Retention(why="the ledger names them; who left stays as a name"),
            "memberships": Retention(why="the catalog's groups as they are now"),
            "grants": Retention(why="who held which role when is evidence of access reviews"),
            "tokens": Retention(why="which token acted when is evidence; only hashes are kept"),
            "sessions": Retention(why="the ledger has who signed in", days=30, column="expires"),
            "sign_in_links": Retention(why="worthless once used or expired", days=7, column="expires"),
        },
    ),
)

PEOPLE = table("people", "id", "issuer", "subject", "name", "email", times=("added", "left_at"))
MEMBERSHIPS = table("memberships", "person", "team")
GRANTS = table(
    "grants", "id", "holder", "role", "team", "environment", "granted_by", times=("granted_at", "expires", "ended")
)
TOKENS = table(
    "tokens", "id", "hash", "person", "name", "role", "team", "environment", "created_by",
    times=("created", "expires", "last_used", "revoked"),
)  # fmt: skip
SESSIONS = table("sessions", "hash", "person", times=("started", "expires", "ended"))
LINKS = table("sign_in_links", "hash", "person", times=("made", "expires", "used"))
