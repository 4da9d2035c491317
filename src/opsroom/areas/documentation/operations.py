"""Documents: list, show, search. Links: list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from opsroom.areas.documentation import store as rows
from opsroom.areas.documentation.model import excerpt, search
from opsroom.contracts.operations import Model, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.repositories import services_of
from opsroom.contracts.scopes import Seen, Sifted
from opsroom.contracts.sight import Sight
from opsroom.kernel.errors import NotFound

HITS = 50


class DocumentView(Model):
    """One document. `place` is where it is written ("" : it is made from what happened); `changed` when it last said something new."""

    path: str
    title: str
    kind: str
    service: str
    place: str
    changed: datetime


class DocumentText(DocumentView):
    """A document with its Markdown and the events behind what it says."""

    markdown: str
    events: list[str]


class Hit(Model):
    """A document that holds what was searched, and the words around it."""

    path: str
    title: str
    kind: str
    excerpt: str
    score: float


class BrokenLink(Model):
    """A link that leads nowhere, and since when."""

    page: str
    target: str
    reason: str
    found: datetime
    event: str


def shows_document(sight: Sight, document: Any) -> bool:
    """What is written in the ops repo is everyone's. What is made belongs to its service, or to those of the repository of a pipeline."""
    if document.place:
        return True
    services: Sequence[str] = [document.service]
    if document.kind == "pipeline":
        services = services_of(sight.plane, document.path.split("/")[1]) or [""]
    return any(sight.sees(service=service) for service in services)


@operation("docs.list", scope=Seen(shows_document))
def list_documents(call: Call, *, kind: str = "", service: str = "") -> list[DocumentView]:
    """Every document, by path."""
    with call.plane.store.read() as tx:
        found = rows.pages(tx, kind=kind, service=service)
    return [DocumentView(**{name: row[name] for name in DocumentView.model_fields}) for row in found]


@operation("docs.read", scope=Seen(shows_document))
def read_document(call: Call, *, path: str) -> DocumentText:
    """One document by its path."""
    with call.plane.store.read() as tx:
        row = rows.page(tx, path)
    if row is None:
        raise NotFound(f"there is no document {path!r}; `opsroom docs search` finds those there are")
    return DocumentText(**{name: row[name] for name in DocumentText.model_fields})


@operation("docs.search", scope=Sifted("documents that the actor may read"))
def search_documents(call: Call, *, text: str) -> list[Hit]:
    """Documents that hold every word, best first, at most 50."""
    with call.plane.store.read() as tx:
        pages = call.sight.only([rows.as_page(row) for row in rows.pages(tx)], shows_document)
    return [
        Hit(path=page.path, title=page.title, kind=page.kind, excerpt=excerpt(page, text), score=score)
        for score, page in search(pages, text)[:HITS]
    ]


@operation("links.list", scope=Sifted("links of documents that the actor may read"))
def list_links(call: Call) -> list[BrokenLink]:
    """Links of the documents, and runbooks of alerts, that lead nowhere. Addresses of other hosts are not checked."""
    with call.plane.store.read() as tx:
        found = [BrokenLink(**{name: row[name] for name in BrokenLink.model_fields}) for row in rows.links(tx)]
        if call.sight.everything:
            return found
        seen = {page.path for page in call.sight.only([rows.as_page(row) for row in rows.pages(tx)], shows_document)}
    return [link for link in found if link.page in seen]
