"""Paging: each page is a durable item that is sent, tried again with growing pauses, and confirmed by its receiver alone."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

from opsroom.areas.incidents import store as rows
from opsroom.areas.incidents.escalation import ESCALATE, PAGE, SYSTEM, escalate
from opsroom.areas.incidents.messages import message_for
from opsroom.areas.incidents.model import PAGE_TRANSITIONS, Incident, Page
from opsroom.areas.incidents.on_call import email_of
from opsroom.contracts.plane import Plane
from opsroom.contracts.ports import Receipt
from opsroom.kernel.errors import Conflict, NotFound, Unavailable, UserError
from opsroom.kernel.queue import Item
from opsroom.kernel.store import Tx

PAUSES = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0)
"""Seconds between the attempts to send one page; after the last it has failed."""
LEASE_SECONDS = 15.0
PATIENCE_SECONDS = 1.0


class Pager:
    """Sends what is due, each page on a thread of its own: a receiver that hangs keeps no other waiting."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._holder = f"{socket.gethostname()}:{os.getpid()}:paging"
        self._lock = threading.Lock()
        self._going: dict[str, threading.Thread] = {}

    def work(self) -> None:
        """Carries out every timer that is due and starts sending every page that is; waits a moment for those that are quick."""
        plane = self._plane
        started: list[threading.Thread] = []
        while item := plane.queue.claim((ESCALATE, PAGE), self._holder, LEASE_SECONDS):
            if item.kind == ESCALATE:
                escalate(plane, item)
                continue
            if thread := self._start(item):
                started.append(thread)
        for thread in started:
            thread.join(PATIENCE_SECONDS)

    def _start(self, item: Item) -> threading.Thread | None:
        """None where this process is sending that page already: the claim has then only renewed its lease."""
        with self._lock:
            if item.id in self._going:
                return None
            thread = threading.Thread(target=self._send, args=(item,), name=f"page {item.payload['page']}", daemon=True)
            self._going[item.id] = thread
        thread.start()
        return thread

    def _send(self, item: Item) -> None:
        try:
            send(self._plane, item)
        except Exception as bug:  # Nobody else would see it: the page is tried again when its lease ends.
            self._plane.journal.error("a page could not be handled", bug=bug, page=item.payload["page"])
        finally:
            with self._lock:
                self._going.pop(item.id, None)


_pagers: WeakKeyDictionary[Plane, Pager] = WeakKeyDictionary()


def work(plane: Plane) -> None:
    """The duty: see `Pager.work`."""
    if plane not in _pagers:
        _pagers[plane] = Pager(plane)
    _pagers[plane].work()


def send(plane: Plane, item: Item) -> None:
    """Tries to send one page once, and records what came of it. A page that nobody needs any more is dropped."""
    with plane.store.read() as tx:
        page = rows.page(tx, str(item.payload["page"]))
        incident = rows.get(tx, page.incident) if page else None
    if page is None or incident is None or page.state != "waiting":
        with plane.store.begin() as tx:
            plane.queue.done(tx, item)
        return
    if incident.state != "open":
        _drop(plane, item, page, incident)
        return
    try:
        receipt = _deliver(plane, incident, page)
    except UserError as error:
        _failed(plane, item, incident, page, plane.secrets.redact(str(error)))
    except (
        Exception
    ) as bug:  # A bug in one provider must not lose the page: it counts as a failed attempt, with its traceback.
        plane.journal.error("a provider broke", bug=bug, page=page.id, provider=page.provider)
        _failed(plane, item, incident, page, f"{page.provider} broke: {type(bug).__name__}")
    else:
        _sent(plane, item, incident, page, plane.secrets.redact(receipt.detail))


def confirm(plane: Plane, id: str, *, receiver: str, actor: str) -> Page:
    """Records that the receiver has the page, by its own word; saying it again changes nothing. Error: not found; it was never sent."""
    with plane.store.begin() as tx:
        page = rows.page(tx, id)
        if page is None:
            raise NotFound(f"page {id!r} does not exist; `opsroom pages list` shows them")
        if page.state == "delivered":
            return page
        if "delivered" not in PAGE_TRANSITIONS[page.state]:
            raise Conflict(f"page {id} is {page.state}: it was never sent, so nobody can have it")
        incident = _incident(tx, page)
        now = plane.clock.now()
        plane.ledger.record(
            tx, "page.delivered", actor=actor, cause=page.sent_event or incident.opened_event, subjects=incident.subjects,
            key=f"page.delivered:{id}", data={**_told(page), "receiver": receiver, "detail": f"confirmed by {receiver}"},
        )  # fmt: skip
        rows.change_page(tx, id, state="delivered", delivered=now, receiver=receiver, next_try=None)
        plane.queue.drop(tx, f"{PAGE}:{id}")
        return rows.page(tx, id) or page


def _deliver(plane: Plane, incident: Incident, page: Page) -> Receipt:
    catalog = plane.catalogs.current()
    channel = catalog.find("NotificationChannel", page.channel)
    if channel is None:
        raise NotFound(f"NotificationChannel {page.channel!r} is not in the ops repo any more")
    notifier = plane.notifiers.get(str(channel.spec.type))
    if notifier is None:
        known = ", ".join(sorted(plane.notifiers)) or "none"
        raise Unavailable(f"no connector delivers by {channel.spec.type!r}; there are: {known}")
    recipients = tuple(address for person in page.people if (address := email_of(catalog, person)))
    given: Mapping[str, Any] = {**channel.spec.model_dump(), "name": channel.name}
    return notifier.send(plane, given, message_for(plane, incident, page), recipients)


def _sent(plane: Plane, item: Item, incident: Incident, page: Page, detail: str) -> None:
    with plane.store.begin() as tx:
        event = plane.ledger.record(
            tx, "page.sent", actor=SYSTEM, cause=incident.opened_event, subjects=incident.subjects,
            key=f"page.sent:{page.id}", data={**_told(page), "detail": detail, "attempt": page.attempts + 1},
        )  # fmt: skip
        # The receiver may have confirmed while its answer was under way.
        now = rows.page(tx, page.id) or page
        state = now.state if now.state == "delivered" else "sent"
        rows.change_page(
            tx, page.id, state=state, attempts=page.attempts + 1, sent=plane.clock.now(), error="", next_try=None,
            sent_event=event.id,
        )  # fmt: skip
        plane.queue.done(tx, item)


def _failed(plane: Plane, item: Item, incident: Incident, page: Page, reason: str) -> None:
    attempt = page.attempts + 1
    pause = PAUSES[page.attempts] if page.attempts < len(PAUSES) else None
    with plane.store.begin() as tx:
        if (rows.page(tx, page.id) or page).state != "waiting":
            plane.queue.done(tx, item)
            return
        plane.ledger.record(
            tx, "page.failed", actor=SYSTEM, cause=incident.opened_event, subjects=incident.subjects,
            key=f"page.failed:{page.id}:{attempt}",
            data={**_told(page), "detail": reason, "attempt": attempt, "final": pause is None, "retry_in": pause},
        )  # fmt: skip
        if pause is None:
            rows.change_page(tx, page.id, state="failed", attempts=attempt, error=reason, next_try=None)
            plane.queue.done(tx, item)
            return
        due = plane.clock.now() + timedelta(seconds=pause)
        rows.change_page(tx, page.id, attempts=attempt, error=reason, next_try=due)
        plane.queue.retry(tx, item, delay=pause, error=reason)


def _drop(plane: Plane, item: Item, page: Page, incident: Incident) -> None:
    reason = f"not sent: the incident was {incident.state} by then"
    with plane.store.begin() as tx:
        rows.change_page(tx, page.id, state="dropped", error=page.error or reason, next_try=None)
        plane.queue.done(tx, item)


def _told(page: Page) -> dict[str, Any]:
    return {
        "page": page.id, "provider": page.provider or "none", "channel": page.channel, "address": page.address,
        "person": ", ".join(page.people) or "the channel",
    }  # fmt: skip


def _incident(tx: Tx, page: Page) -> Incident:
    found = rows.get(tx, page.incident)
    if found is None:
        raise AssertionError(f"page {page.id} is of incident {page.incident}, which is not there")
    return found
