"""The pages of documentation: the tree with search, and one document as it reads."""

from __future__ import annotations

import posixpath
import re

from opsroom.areas.documentation import store as rows
from opsroom.areas.documentation.operations import (
    list_documents,
    list_links,
    read_document,
    search_documents,
    shows_document,
)
from opsroom.areas.documentation.rendering import render, render_source
from opsroom.contracts.pages import PageDeclaration, PageRequest, Part, View
from opsroom.kernel.errors import NotFound, Place

FILE_LIMIT = 200_000
_FIRST_HEADING = re.compile(r"\A\s*<h1\b[^>]*>.*?</h1>\s*", re.DOTALL)
KINDS = {
    "document": "Documents", "runbook": "Runbooks", "service": "Services", "pipeline": "Pipelines",
    "environment": "Environments", "record": "Records", "incident": "Incidents",
}  # fmt: skip


def show_all(asked: PageRequest) -> View:
    """Every document by kind, what a search finds, and links that lead nowhere."""
    text = asked.query.get("q", "")
    pages = list_documents(asked.call, service=asked.scope.service)
    groups = [(title, [one for one in pages if one.kind == kind]) for kind, title in KINDS.items()]
    return View(
        template="documentation/docs.html",
        values={"groups": groups, "q": text, "hits": search_documents(asked.call, text=text) if text else [],
                "links": list_links(asked.call)},
        title="Docs", api="/api/v1/docs", live=("docs.",),
    )  # fmt: skip


def show_one(asked: PageRequest) -> View:
    """One document, with its contents, when it last changed, and where it is written; or a file of the ops repo that one links to."""
    path = asked.params["path"]
    with asked.call.plane.store.read() as tx:
        if rows.page(tx, path) is None and path in asked.call.plane.catalogs.current().files:
            return _file(asked, path)
    document = read_document(asked.call, path=path)
    text, contents = render(document.markdown, document.path)
    text = _FIRST_HEADING.sub("", text, count=1)  # the head of the page has it
    return View(
        template="documentation/doc.html", values={"document": document, "html": text, "contents": contents},
        title=document.title, code=_place(document.place), api=f"/api/v1/docs/read?path={document.path}", live=("docs.",),
    )  # fmt: skip


def _file(asked: PageRequest, path: str) -> View:
    data = asked.call.plane.catalogs.current().read(path)
    if len(data) > FILE_LIMIT or b"\0" in data:
        raise NotFound(f"{path} is no text of at most {FILE_LIMIT // 1000} kB; look at it in the repository")
    language = posixpath.splitext(path)[1].removeprefix(".")
    text = render_source(data.decode("utf-8", "replace"), language)
    return View(template="documentation/file.html", values={"path": path, "html": text}, title=path, code=Place(path))


def of_service(asked: PageRequest) -> View | None:
    """The documents and runbooks of a service."""
    found = list_documents(asked.call, service=asked.params["service"])
    return View(template="documentation/part_documents.html", values={"documents": found}) if found else None


def found(asked: PageRequest) -> View | None:
    """Documents that hold what is searched."""
    hits = search_documents(asked.call, text=asked.query.get("q", ""))[:10]
    return View(template="documentation/part_hits.html", values={"hits": hits}) if hits else None


def of_incident(asked: PageRequest) -> View | None:
    """The text of the runbook of an incident."""
    opened = asked.call.plane.ledger.find(
        types=["incident.opened"], subjects=[f"incident:{asked.params['id']}"], limit=1
    )
    path = str(opened[0].data.get("runbook") or "") if opened else ""
    with asked.call.plane.store.read() as tx:
        row = rows.page(tx, path) if path else None
    if row is None or not asked.call.sight.only([rows.as_page(row)], shows_document):
        return None
    text, _ = render(row["markdown"], path)
    return View(template="documentation/part_text.html", values={"html": text, "path": path})


def _place(text: str) -> Place | None:
    file, _, rest = text.partition(":")
    return Place(file, int(rest.split(":")[0]) if rest.split(":")[0].isdigit() else 0) if file else None


PAGES = (
    PageDeclaration(path="/docs", title="Docs", render=show_all, nav="Docs", key="k"),
    PageDeclaration(path="/docs/{path:path}", title="Document", render=show_one),
)

PARTS = (
    Part(where="service", title="Documents", order=95, render=of_service),
    Part(where="search", title="Documents", order=20, render=found),
    Part(where="incident", title="What the runbook says", order=40, render=of_incident),
)
