"""The SQL of documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from opsroom.areas.documentation.model import Broken, Page
from opsroom.kernel.store import Tx, table

PAGES = table(
    "doc_pages", "path", "title", "kind", "service", "markdown", "digest", "place", json=("events",), times=("changed",)
)
LINKS = table("doc_links", "page", "target", "reason", "event", times=("found",))


def digests(tx: Tx) -> dict[str, str]:
    return {row["path"]: row["digest"] for row in tx.rows(sa.select(PAGES.c.path, PAGES.c.digest))}


def put_pages(tx: Tx, pages: Sequence[Page], now: datetime) -> None:
    for page in pages:
        tx.execute(sa.delete(PAGES).where(PAGES.c.path == page.path))
        tx.execute(
            sa.insert(PAGES).values(
                path=page.path, title=page.title, kind=page.kind, service=page.service, markdown=page.markdown,
                digest=page.digest, place=page.place, events=list(page.events), changed=now,
            )
        )  # fmt: skip


def drop_pages(tx: Tx, paths: Sequence[str]) -> None:
    for path in paths:
        tx.execute(sa.delete(PAGES).where(PAGES.c.path == path))


def pages(tx: Tx, *, kind: str = "", service: str = "") -> list[RowMapping]:
    query = sa.select(PAGES).order_by(PAGES.c.path)
    if kind:
        query = query.where(PAGES.c.kind == kind)
    if service:
        query = query.where(PAGES.c.service == service)
    return tx.rows(query)


def page(tx: Tx, path: str) -> RowMapping | None:
    return tx.row(sa.select(PAGES).where(PAGES.c.path == path))


def links(tx: Tx) -> list[RowMapping]:
    return tx.rows(sa.select(LINKS).order_by(LINKS.c.page, LINKS.c.target))


def put_link(tx: Tx, broken: Broken, now: datetime, event: str) -> None:
    tx.execute(
        sa.insert(LINKS).values(page=broken.page, target=broken.target, reason=broken.reason, found=now, event=event)
    )


def drop_link(tx: Tx, page: str, target: str) -> None:
    tx.execute(sa.delete(LINKS).where(LINKS.c.page == page, LINKS.c.target == target))


def as_page(row: RowMapping | Mapping[str, object]) -> Page:
    values = dict(row)
    return Page(
        path=values["path"], title=values["title"], kind=values["kind"], service=values["service"],
        markdown=values["markdown"], place=values["place"], events=tuple(values["events"]),
    )  # fmt: skip
