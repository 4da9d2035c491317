"""The SQL of infrastructure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from opsroom.kernel.store import Tx, table

INVENTORY = table("inventory", "host", "event", json=("facts",), times=("seen",))
RUNNERS = table("runners", "name", "event", times=("registered",))
CERTIFICATES = table("certificates", "address", "issuer", "error", times=("expires", "begins", "checked"))
NOTICES = table("expiry_notices", "notice", "event", times=("told",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A machine's lasting facts as last recorded, and the event that told of them."""

    facts: Mapping[str, str]
    seen: datetime
    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """When a runner was first seen, and the event that told of it."""

    registered: datetime
    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The last look at the certificate of an address; `error` says why its end is not known."""

    address: str
    expires: datetime | None
    begins: datetime | None
    issuer: str
    checked: datetime
    error: str


def inventory_of(tx: Tx, host: str) -> Seen | None:
    row = tx.row(sa.select(INVENTORY).where(INVENTORY.c.host == host))
    return Seen(facts=row["facts"], seen=row["seen"], event=row["event"]) if row else None


def keep_inventory(tx: Tx, host: str, seen: Seen) -> None:
    tx.execute(sa.delete(INVENTORY).where(INVENTORY.c.host == host))
    tx.execute(sa.insert(INVENTORY).values(host=host, facts=dict(seen.facts), seen=seen.seen, event=seen.event))


def runners(tx: Tx) -> dict[str, Registered]:
    return {
        row["name"]: Registered(registered=row["registered"], event=row["event"]) for row in tx.rows(sa.select(RUNNERS))
    }


def add_runner(tx: Tx, name: str, made: Registered) -> None:
    tx.execute(sa.insert(RUNNERS).values(name=name, registered=made.registered, event=made.event))


def certificates(tx: Tx) -> dict[str, Certificate]:
    return {row["address"]: Certificate(**row) for row in tx.rows(sa.select(CERTIFICATES))}


def keep_certificate(tx: Tx, certificate: Certificate) -> None:
    fields = {name: getattr(certificate, name) for name in Certificate.__dataclass_fields__}
    tx.execute(sa.delete(CERTIFICATES).where(CERTIFICATES.c.address == certificate.address))
    tx.execute(sa.insert(CERTIFICATES).values(**fields))


def told(tx: Tx, notices: Collection[str]) -> set[str]:
    """Those of these notices that were given."""
    rows = tx.rows(sa.select(NOTICES.c.notice).where(NOTICES.c.notice.in_(list(notices)))) if notices else []
    return {str(row["notice"]) for row in rows}


def add_notice(tx: Tx, notice: str, now: datetime, event: str) -> None:
    tx.execute(sa.insert(NOTICES).values(notice=notice, told=now, event=event))
