"""What a page says: enough to act upon, read on a telephone at night."""

from __future__ import annotations

from collections.abc import Iterator

from opsroom.areas.incidents.model import Incident, Page
from opsroom.contracts.plane import Plane
from opsroom.contracts.ports import Message
from opsroom.kernel.clock import stamp

SHOWN_SUSPECTS = 3


def message_for(plane: Plane, incident: Incident, page: Page) -> Message:
    """The message of a page. Its key is the page's id, which also stands in the title and the body, so that a receiver can confirm it."""
    url = f"{plane.settings.base_url}/incidents/{incident.id}"
    title = f"{incident.severity} {incident.title} [{page.id}]"
    return Message(
        title=title, body="\n".join(_lines(incident, page, url)), url=url, key=page.id, cause=incident.opened_event,
        fields={
            "page": page.id, "incident": incident.id, "severity": incident.severity, "service": incident.service,
            "environment": incident.environment, "runbook": incident.runbook.get("path", ""),
            "people": list(page.people), "suspects": [dict(one) for one in incident.suspects[:SHOWN_SUSPECTS]],
        },
    )  # fmt: skip


def _lines(incident: Incident, page: Page, url: str) -> Iterator[str]:
    place = " in ".join(part for part in (incident.service, incident.environment) if part)
    yield incident.title
    yield ""
    yield f"{incident.severity}{f', {place}' if place else ''}, since {stamp(incident.onset)}"
    if incident.owner:
        yield f"Owner: {incident.owner}"
    if page.people:
        yield f"Called: {', '.join(page.people)}"
    likely = [one for one in incident.suspects if one["score"] > 0][:SHOWN_SUSPECTS]
    if likely:
        yield ""
        yield "What could have caused it, the likeliest first:"
    for number, suspect in enumerate(likely, 1):
        yield f"{number}. {suspect['change']} (score {suspect['score']:.2f})"
        yield from (f"   {reason}" for reason in suspect["reasons"])
    yield ""
    runbook = incident.runbook
    yield f"Runbook: {runbook['title']} ({runbook['path']})" if runbook.get("path") else "Runbook: none for this"
    yield f"Acknowledge: {url}"
    yield f"Page: {page.id}"
