"""The live stream: sealed ledger events pushed to open pages by server-sent events, resumable by their sequence number."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from opsroom.contracts.plane import Call

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.actors import Actor
    from opsroom.kernel.journal import Journal
    from opsroom.kernel.ledger import Event, Ledger

HEARTBEAT_SECONDS = 15.0
PAUSE_SECONDS = 1.0
BACKLOG = 500
SIGHT_SECONDS = 5.0
_END = object()


@dataclass(eq=False)
class _Listener:
    types: tuple[str, ...]
    loop: asyncio.AbstractEventLoop
    queue: asyncio.Queue[object] = field(default_factory=lambda: asyncio.Queue(maxsize=2 * BACKLOG))

    def offer(self, item: object) -> None:
        if item is not _END and self.queue.full():
            return  # the page refreshes as a whole on the next event it does get
        if self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(item)


class Live:
    """One thread reads the ledger for all open pages. `stop` ends every stream at once: call it when the server is told to stop,
    before it waits for connections to close."""

    def __init__(self, ledger: Ledger, journal: Journal) -> None:
        self._ledger = ledger
        self._journal = journal
        self._listeners: set[_Listener] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def stop(self) -> None:
        self._stopped.set()
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            self._tell(listener, _END)

    async def stream(
        self, types: Sequence[str], last_event_id: str, shows: Callable[[Event], bool]
    ) -> AsyncIterator[bytes]:
        """Server-sent events of these types (one ending in "." is a prefix; none: all), from after `last_event_id` on, or from now;
        those that `shows` says may be read. It may block, and is called on a thread."""
        listener = _Listener(tuple(types), asyncio.get_running_loop())
        if self._stopped.is_set():
            return
        with self._lock:
            self._listeners.add(listener)
            self._start()
        try:
            seq, missed = await asyncio.to_thread(self._catch_up, listener.types, last_event_id)
            missed = await asyncio.to_thread(lambda: [event for event in missed if shows(event)])
            yield _message("hello", seq, {"missed": len(missed)}, retry=1000)
            for event in missed:
                seq = event.seq or seq
                yield _ledger_message(event)
            while True:
                try:
                    item = await asyncio.wait_for(listener.queue.get(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if item is _END:
                    yield _message("bye", None, {})
                    return
                event = item  # type: ignore[assignment]
                if event.seq is not None and event.seq > seq:
                    seq = event.seq
                    if await asyncio.to_thread(shows, event):
                        yield _ledger_message(event)
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def _catch_up(self, types: Sequence[str], last_event_id: str) -> tuple[int, list[Event]]:
        newest = self._ledger.last_seq()
        if not last_event_id.isdigit():
            return newest, []
        seen = min(int(last_event_id), newest)
        return seen, self._ledger.read(seen, types, BACKLOG)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="web-live", daemon=True)
            self._thread.start()

    def _follow(self) -> None:
        seq = self._ledger.last_seq()
        while not self._stopped.is_set():
            self._ledger.wait_sealed(PAUSE_SECONDS)
            try:
                events = self._ledger.read(seq)
            except SQLAlchemyError as error:
                self._journal.error("the live stream could not read the ledger; it tries again", bug=error)
                self._stopped.wait(PAUSE_SECONDS)
                continue
            # Taken after the read: who came before it gets the events by us, who came later has seen them in the catch-up.
            with self._lock:
                listeners = list(self._listeners)
            for event in events:
                seq = event.seq or seq
                for listener in listeners:
                    if matches(event.type, listener.types):
                        self._tell(listener, event)

    def _tell(self, listener: _Listener, item: object) -> None:
        try:
            listener.loop.call_soon_threadsafe(listener.offer, item)
        except RuntimeError:  # its loop is closed, and the page with it
            with self._lock:
                self._listeners.discard(listener)


class Looker:
    """What one reader of a stream may see, looked up anew every few seconds: a role that ends is not outlived by an open page."""

    def __init__(self, plane: Plane, actor: Actor) -> None:
        self._plane = plane
        self._actor = actor
        self._sight = Call(plane=plane, actor=actor).sight
        self._looked = plane.clock.monotonic()

    def shows(self, event: Event) -> bool:
        now = self._plane.clock.monotonic()
        if now - self._looked >= SIGHT_SECONDS:
            self._sight, self._looked = Call(plane=self._plane, actor=self._actor).sight, now
        return self._sight.shows(event)


def matches(type: str, types: Sequence[str]) -> bool:
    """Whether an event type is among these names and prefixes (`run.` for all of that noun); none: all are."""
    return not types or any(type.startswith(one) if one.endswith(".") else type == one for one in types)


def as_types(text: str) -> tuple[str, ...]:
    """`run,deployment.,incident.opened` -> names and prefixes; a bare noun stands for all its types."""
    named = (one.strip() for one in text.split(","))
    return tuple(one if "." in one else f"{one}." for one in named if one)


def _ledger_message(event: Event) -> bytes:
    return _message("ledger", event.seq, {"type": event.type, "id": event.id, "subjects": list(event.subjects)})


def _message(name: str, id: int | None, data: dict[str, object], retry: int = 0) -> bytes:
    lines = [f"event: {name}"]
    if id is not None:
        lines.append(f"id: {id}")
    if retry:
        lines.append(f"retry: {retry}")
    lines.append(f"data: {json.dumps(data)}")
    return ("\n".join(lines) + "\n\n").encode()
