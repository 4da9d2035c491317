"""Reads log lines and their counts from the tables."""

# ruff: noqa: S608 - SQL here is built of constants, integers and `literal`, never of text as it came

from __future__ import annotations

from typing import Any

from opsroom.kernel.errors import Invalid, TooLarge
from opsroom.telemetry.child.database import Connection, literal
from opsroom.telemetry.columns import RowReader
from opsroom.telemetry.limits import Limits
from opsroom.telemetry.logquery import compile_sql, parse

_COLUMNS = (
    "id, time, service, environment, level, message, trace_id, CAST(attributes, 'Map(String, String)') AS attributes"
)


def search(
    db: Connection, limits: Limits, query: str, start: float, end: float, *, limit: int, before: str
) -> dict[str, Any]:
    """Lines of [start, end) that match, newest first, and the cursor of the next page."""
    if not 0 < limit <= limits.log_lines:
        raise TooLarge(f"limit {limit} is not between 1 and {limits.log_lines:,} lines")
    where = f"{_span(start, end)} AND {_after(before)} AND {compile_sql(parse(query), literal)}"
    sql = f"SELECT {_COLUMNS} FROM telemetry.logs WHERE {where} ORDER BY time DESC, id DESC LIMIT {limit + 1}"
    reader = RowReader(db.rows(sql))
    records: list[dict[str, Any]] = []
    stamps: list[int] = []
    while reader:
        identity, time = reader.uint64(), reader.int64()
        stamps.append(time)
        records.append(
            {
                "id": identity,
                "time": time / 1_000_000,
                "service": reader.string(),
                "environment": reader.string(),
                "level": reader.string(),
                "message": reader.string(),
                "trace_id": reader.string(),
                "attributes": dict(reader.mapping()),
            }
        )
    more = len(records) > limit
    cursor = f"{stamps[limit - 1]}-{records[limit - 1]['id']}" if more else ""
    return {"records": records[:limit], "before": cursor}


def histogram(
    db: Connection, query: str, start: float, end: float, *, buckets: int, by: str
) -> list[tuple[float, str, int]]:
    """(start of the bucket, value of `by`, lines), for buckets that have any."""
    if by not in {"service", "environment", "level"}:
        raise Invalid(f"log lines are counted by service, environment or level, not by {by!r}")
    if not 0 < buckets <= 1_000:
        raise Invalid(f"{buckets} buckets are not between 1 and 1000")
    first, width = round(start * 1_000_000), max(1, round((end - start) * 1_000_000 / buckets))
    where = f"{_span(start, end)} AND {compile_sql(parse(query), literal)}"
    reader = RowReader(
        db.rows(
            f"SELECT toUInt64(intDiv(time - {first}, {width})) AS bucket, CAST({by}, 'String') AS name, count()"
            f" FROM telemetry.logs WHERE {where} GROUP BY bucket, name ORDER BY bucket, name"
        )
    )
    counts = []
    while reader:
        bucket, name, count = reader.uint64(), reader.string(), reader.uint64()
        counts.append(((first + bucket * width) / 1_000_000, name, count))
    return counts


def _span(start: float, end: float) -> str:
    if not abs(start) < 2**43 or not abs(end) < 2**43 or end < start:
        raise Invalid(f"the time from {start} to {end} is no span")
    return f"time >= {round(start * 1_000_000)} AND time < {round(end * 1_000_000)}"


def _after(cursor: str) -> str:
    if not cursor:
        return "1"
    time, dash, identity = cursor.partition("-")
    if not (dash and time.isdecimal() and identity.isdecimal() and len(cursor) < 42):
        raise Invalid(f"cursor {cursor!r} is none that a page of log lines gave")
    return f"(time, id) < ({int(time)}, {int(identity)})"
