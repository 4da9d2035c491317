"""The SQL of performance: results of load tests, and windows of steady traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from opsroom.areas.performance.model import Counts, Result
from opsroom.kernel.errors import Conflict
from opsroom.kernel.store import Tx, table

TESTS = table(
    "load_tests", "id", "key", "test", "service", "environment", "digest", "run", "verdict", "rate", "requests", "failed",
    "late", "resent", "event", json=("buckets", "reasons", "broken"), times=("started", "finished"),
)  # fmt: skip
SESSIONS = table("traffic_sessions", "id", "service", "environment", "test", "actor", "told", times=("started",))
TRAFFIC = table(
    "traffic", "session", "second", "service", "environment", "sent", "failed", "resent", json=("reasons", "buckets")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Traffic to a service in some seconds: `first` and `last` are epoch seconds of windows counted; `seconds` how many there are."""

    requests: int
    failed: int
    first: int
    last: int
    seconds: int


def add_result(tx: Tx, result: Result) -> None:
    counts = result.counts
    tx.execute(
        sa.insert(TESTS).values(
            id=result.id, key=result.key, test=result.test, service=result.service, environment=result.environment,
            digest=result.digest, run=result.run, verdict=result.verdict, rate=result.rate, requests=counts.requests,
            failed=counts.failed, late=counts.late, resent=counts.resent, buckets=_text_keys(counts.buckets), reasons=dict(counts.reasons),
            broken=list(result.broken), started=result.started, finished=result.finished, event=result.event,
        )
    )  # fmt: skip


def result_by_key(tx: Tx, key: str) -> Result | None:
    row = tx.row(sa.select(TESTS).where(TESTS.c.key == key))
    return _result(row) if row else None


def get_result(tx: Tx, id: str) -> Result | None:
    row = tx.row(sa.select(TESTS).where(TESTS.c.id == id))
    return _result(row) if row else None


def find_results(
    tx: Tx, *, test: str = "", service: str = "", environment: str = "", run: str = "", verdict: str = "", after: str = "",
    limit: int = 50,
) -> list[Result]:  # fmt: skip
    """Results that match all given, newest first; `after` is the id to go on from."""
    query = sa.select(TESTS).order_by(TESTS.c.id.desc()).limit(limit)
    wanted = {"test": test, "service": service, "environment": environment, "run": run, "verdict": verdict}
    for column, value in wanted.items():
        if value:
            query = query.where(TESTS.c[column] == value)
    if after:
        query = query.where(TESTS.c.id < after)
    return [_result(row) for row in tx.rows(query)]


def add_windows(tx: Tx, session: Mapping[str, Any], windows: Sequence[Mapping[str, Any]]) -> int:
    """Keeps windows of a session, each second once whatever is sent twice; returns how many were new. Conflict: a session of this id
    is another actor's, or counts another service."""
    known_session = tx.row(sa.select(SESSIONS).where(SESSIONS.c.id == session["id"]))
    if known_session is None:
        tx.execute(sa.insert(SESSIONS).values(**session, told=0))
    elif any(known_session[name] != session[name] for name in ("actor", "service", "environment")):
        raise Conflict(f"session {session['id']!r} counts other traffic already; begin a session of another name")
    seconds = [window["at"] for window in windows]
    known = set(
        tx.execute(
            sa.select(TRAFFIC.c.second).where(TRAFFIC.c.session == session["id"], TRAFFIC.c.second.in_(seconds))
        ).scalars()
    )
    fresh = {window["at"]: window for window in windows if window["at"] not in known}
    if fresh:
        tx.execute(
            sa.insert(TRAFFIC),
            [
                {"session": session["id"], "second": at, "service": session["service"], "environment": session["environment"],
                 "sent": one["sent"], "failed": one["failed"], "resent": one["resent"], "reasons": one["reasons"], "buckets": one["buckets"]}
                for at, one in fresh.items()
            ],
        )  # fmt: skip
    return len(fresh)


def untold(tx: Tx, session: str) -> tuple[int, Flow | None]:
    """The second up to which a session's traffic has been told as an event, and the traffic after it (None: none)."""
    told = int(tx.scalar(sa.select(SESSIONS.c.told).where(SESSIONS.c.id == session)) or 0)
    return told, _flow(tx, TRAFFIC.c.session == session, TRAFFIC.c.second > told)


def set_told(tx: Tx, session: str, second: int) -> None:
    tx.execute(sa.update(SESSIONS).where(SESSIONS.c.id == session).values(told=second))


def flow(tx: Tx, service: str, environment: str, since: datetime, until: datetime) -> Flow | None:
    """What was sent in the whole seconds that overlap the time given; None when nothing was counted then."""
    return _flow(
        tx,
        TRAFFIC.c.service == service,
        TRAFFIC.c.environment == environment,
        TRAFFIC.c.second >= int(since.timestamp()),
        TRAFFIC.c.second < until.timestamp(),
    )


def windows(tx: Tx, service: str, environment: str, since: datetime, until: datetime, limit: int) -> list[RowMapping]:
    """The newest windows themselves, oldest first."""
    found = tx.rows(
        sa.select(TRAFFIC)
        .where(
            TRAFFIC.c.service == service, TRAFFIC.c.environment == environment,
            TRAFFIC.c.second >= int(since.timestamp()), TRAFFIC.c.second < until.timestamp(),
        )
        .order_by(TRAFFIC.c.second.desc())
        .limit(limit)
    )  # fmt: skip
    return found[::-1]


def _flow(tx: Tx, *where: Any) -> Flow | None:
    row = tx.row(
        sa.select(
            sa.func.sum(TRAFFIC.c.sent).label("requests"),
            sa.func.sum(TRAFFIC.c.failed).label("failed"),
            sa.func.min(TRAFFIC.c.second).label("first"),
            sa.func.max(TRAFFIC.c.second).label("last"),
            sa.func.count().label("seconds"),
        ).where(*where)
    )
    if row is None or not row["seconds"]:
        return None
    return Flow(**{name: int(value) for name, value in row.items()})


def _result(row: RowMapping) -> Result:
    values = dict(row)
    counts = Counts(
        requests=values.pop("requests"), failed=values.pop("failed"), late=values.pop("late"),
        resent=values.pop("resent"),
        buckets={int(key): count for key, count in values.pop("buckets").items()}, reasons=values.pop("reasons"),
    )  # fmt: skip
    return Result(counts=counts, **{**values, "broken": tuple(values["broken"])})


def _text_keys(buckets: Mapping[int, int]) -> dict[str, int]:
    return {str(number): count for number, count in buckets.items()}
