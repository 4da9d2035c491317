"""Idempotency-Key: a write sent twice under one key is done once, and the second gets the first one's answer for a day.

Answers may hold what is shown once (a new token), so they are kept encrypted with the master key, and requests only as a
keyed digest.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa

from opsroom.contracts.plane import Plane
from opsroom.kernel.clock import stamp
from opsroom.kernel.errors import Conflict, Invalid, UserError
from opsroom.kernel.migrations import Migration, Retention
from opsroom.kernel.store import table

KEPT = timedelta(hours=24)
_LONGEST = 200

MIGRATIONS = (
    Migration(
        name="api-0001",
        statements=(
            """CREATE TABLE api_replays (
                actor TEXT NOT NULL, idempotency_key TEXT NOT NULL, fingerprint TEXT NOT NULL, answer TEXT NOT NULL,
                made TEXT NOT NULL, PRIMARY KEY (actor, idempotency_key))""",
        ),
        retention={"api_replays": Retention(why="answers replayed for a day", days=1, column="made")},
    ),
)

_REPLAYS = table("api_replays", "actor", "idempotency_key", "fingerprint", "answer", times=("made",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer before it is one."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def replayed(plane: Plane, actor: str, key: str, request: str, do: Callable[[], Answer]) -> Answer:
    """Does it, or answers what it answered before. `request` is all that makes one request differ from another.

    Invalid: the key was used for something else. Conflict: the first is still under way, or was cut off and its outcome is
    not known. A refused write (UserError) leaves the key free."""
    if not 1 <= len(key) <= _LONGEST:
        raise Invalid(f"Idempotency-Key is not 1 to {_LONGEST} characters; a UUID is usual")
    fingerprint = plane.secrets.keyring.fingerprint(request.encode("utf-8", "surrogatepass"))
    context = f"answer to {actor} under {key}"
    if (before := _begin(plane, actor, key, fingerprint)) is not None:
        return _decoded(plane.secrets.keyring.decrypt(before, context))
    try:
        answer = do()
    except UserError:
        with plane.store.begin() as tx:
            tx.execute(sa.delete(_REPLAYS).where(*_mine(actor, key)))
        raise
    kept = plane.secrets.keyring.encrypt(_encoded(answer), context)
    with plane.store.begin() as tx:
        tx.execute(sa.update(_REPLAYS).where(*_mine(actor, key)).values(answer=kept))
    return answer


def _begin(plane: Plane, actor: str, key: str, fingerprint: str) -> str | None:
    """The kept answer, or None after taking the key for this request."""
    now = plane.clock.now()
    with plane.store.begin() as tx:
        tx.execute(sa.delete(_REPLAYS).where(_REPLAYS.c.made <= now - KEPT, *_mine(actor, key)))
        # On PostgreSQL two may get here at once: who inserts first has the key.
        taken = tx.execute(
            "INSERT INTO api_replays (actor, idempotency_key, fingerprint, answer, made) "
            "VALUES (:actor, :key, :fingerprint, '', :made) ON CONFLICT (actor, idempotency_key) DO NOTHING",
            {"actor": actor, "key": key, "fingerprint": fingerprint, "made": stamp(now)},
        )
        if taken.rowcount:
            return None
        row = tx.row(sa.select(_REPLAYS).where(*_mine(actor, key)))
    if row is None or row["fingerprint"] != fingerprint:
        raise Invalid(f"Idempotency-Key {key!r} was used for another request; take a new key for this one")
    if not row["answer"]:
        raise Conflict(
            f"the request under Idempotency-Key {key!r} is under way, or was cut off; see what it did before trying a new key"
        )
    return str(row["answer"])


def _mine(actor: str, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (_REPLAYS.c.actor == actor, _REPLAYS.c.idempotency_key == key)


def _encoded(answer: Answer) -> bytes:
    body = base64.b64encode(answer.body).decode()
    return json.dumps({"status": answer.status, "headers": answer.headers, "body": body}).encode()


def _decoded(octets: bytes) -> Answer:
    kept = json.loads(octets)
    headers = {**kept["headers"], "Idempotency-Replayed": "true"}
    return Answer(status=kept["status"], body=base64.b64decode(kept["body"]), headers=headers)
