"""The documents are built anew when something they say may have changed; what did change is told, and broken links are found."""

from __future__ import annotations

from collections.abc import Iterator

from opsroom.areas.documentation import store as rows
from opsroom.areas.documentation.facts import runbook_urls
from opsroom.areas.documentation.making import made_pages
from opsroom.areas.documentation.model import Broken, Page, broken_links
from opsroom.areas.documentation.reading import title_of
from opsroom.contracts.area import Subscription
from opsroom.contracts.plane import Plane
from opsroom.kernel.ledger import Event

BUILD_ON = (
    "change.pushed", "catalog.changed", "deployment.finished", "deployment.failed", "configuration.applied", "drift.found", "drift.ended",
    "incident.opened", "incident.joined", "incident.acknowledged", "incident.resolved", "postmortem.drafted", "action.closed",
)  # fmt: skip


def build(plane: Plane, event: Event) -> None:
    """Builds every page, keeps those that changed, and records it once for the event."""
    built = {page.path: page for page in (*written_pages(plane), *made_pages(plane))}
    found = broken_links(built, plane.catalogs.current().files) + list(_dead_runbooks(plane, built))
    with plane.store.begin() as tx:
        before = rows.digests(tx)
        changed = [page for page in built.values() if before.get(page.path) != page.digest]
        gone = [path for path in before if path not in built]
        if changed or gone:
            rows.put_pages(tx, changed, plane.clock.now())
            rows.drop_pages(tx, gone)
            plane.ledger.record(
                tx, "docs.built", actor="system:documentation", cause=event.id, key=f"docs:{event.id}",
                data={"pages": len(built), "changed": [page.path for page in changed][:100], "gone": gone[:100]},
            )  # fmt: skip
        known = {(row["page"], row["target"]) for row in rows.links(tx)}
        now_broken = {(one.page, one.target): one for one in found}
        for key in known - now_broken.keys():
            rows.drop_link(tx, *key)
        for key in now_broken.keys() - known:
            one = now_broken[key]
            told = plane.ledger.record(
                tx, "link.broken", actor="system:documentation", cause=event.id, key=f"link:{one.page}:{one.target}:{event.id}",
                data={"page": one.page, "target": one.target, "reason": one.reason},
            )  # fmt: skip
            rows.put_link(tx, one, plane.clock.now(), told.id)


def written_pages(plane: Plane) -> Iterator[Page]:
    """The documents and runbooks of the ops repo."""
    catalog = plane.catalogs.current()
    for kind in ("Document", "Runbook"):
        for resource in catalog.all(kind):
            title = resource.spec.title or title_of(resource.body) or resource.name
            yield Page(
                path=resource.name, title=title, kind=kind.lower(), service=resource.spec.service or "",
                markdown=resource.body, place=str(resource.place),
            )  # fmt: skip


def _dead_runbooks(plane: Plane, pages: dict[str, Page]) -> Iterator[Broken]:
    """Alerts whose runbook_url names a file that is not there."""
    for resource in plane.catalogs.current().all("Rules"):
        for alert, target in runbook_urls(resource):
            if "://" not in target and "{{" not in target and target not in pages:
                yield Broken(page=resource.name, target=target, reason=f"alert {alert}: there is no {target}")


SUBSCRIPTIONS = (Subscription(name="build", types=BUILD_ON, handle=build),)
