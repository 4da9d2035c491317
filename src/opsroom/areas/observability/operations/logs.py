"""Logs: search."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from opsroom.contracts.operations import Model, Page, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import Sifted
from opsroom.kernel.errors import Invalid
from opsroom.telemetry.port import LogRecord
from opsroom.telemetry.within import joined, quoted

DEFAULT_RANGE = timedelta(hours=1)


class LogLine(Model):
    """One line that a service wrote; `attributes` are its other fields, and the deployment and instance it came from."""

    columns: ClassVar[tuple[str, ...]] = ("time", "service", "environment", "level", "message", "trace_id")
    time: datetime
    service: str
    environment: str
    level: str
    message: str
    trace_id: str
    attributes: dict[str, str]


@operation("logs.search", scope=Sifted("lines of the services and environments that the actor may read"))
def search_logs(
    call: Call, *, query: str = "", since: datetime | None = None, until: datetime | None = None, service: str = "",
    environment: str = "", after: str = "", limit: int = 100,
) -> Page[LogLine]:  # fmt: skip
    """Log lines that match, newest first, by default of the last hour. Words and fields: `service:storefront level:error "timed out"`."""
    end = until or call.plane.clock.now() + timedelta(seconds=1)
    start = since or end - DEFAULT_RANGE
    if start >= end:
        raise Invalid(f"since {start.isoformat()} is not before until {end.isoformat()}; swap them")
    page = call.telemetry.search_logs(
        scoped(query, service, environment), start.timestamp(), end.timestamp(), limit=limit, before=after
    )
    return Page[LogLine](items=[log_line(record) for record in page.records], next=page.before)


def scoped(query: str, service: str = "", environment: str = "") -> str:
    """The search within a service and an environment. Error: the query is none by itself."""
    terms = [f"{name}:{quoted(value)}" for name, value in (("service", service), ("environment", environment)) if value]
    return joined(query, " AND ".join(terms))


def log_line(record: LogRecord) -> LogLine:
    return LogLine(
        time=datetime.fromtimestamp(record.time, UTC), service=record.service, environment=record.environment,
        level=record.level, message=record.message, trace_id=record.trace_id, attributes=dict(record.attributes),
    )  # fmt: skip
