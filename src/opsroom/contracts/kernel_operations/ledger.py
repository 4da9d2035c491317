"""The ledger on every surface: events, their causes and effects, and the proof that nobody changed them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from opsroom.contracts.operations import Model, Page, operation
from opsroom.contracts.scopes import SEEN, WHOLE, Shared
from opsroom.contracts.sentences import Sentences
from opsroom.kernel.errors import Conflict, Invalid
from opsroom.kernel.ledger import Event
from opsroom.kernel.verification import CheckpointKey, read_checkpoints, verify, write_checkpoint

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call


class EventView(Model):
    """An event of the ledger; `sentence` is how a person would say it, `seq` and `hash` are there once it is sealed."""

    columns: ClassVar[tuple[str, ...]] = ("id", "time", "type", "sentence", "actor")
    id: str
    type: str
    sentence: str
    time: datetime
    recorded: datetime
    actor: str
    cause: str
    subjects: list[str]
    data: dict[str, Any]
    seq: int | None
    hash: str
    erased: str


class LedgerCheck(Model):
    """What a check of the whole chain found; `problems` is empty exactly when `ok`."""

    ok: bool
    events: int
    unsealed: int
    checkpoints: int
    erased: int
    problems: list[str]
    key: str


class CheckpointView(Model):
    """The end of the chain as signed into the file outside the database; `seq` None: nothing was new."""

    seq: int | None
    hash: str
    file: str


@operation("events.list", scope=SEEN)
def events_list(
    call: Call,
    *,
    types: list[str] | None = None,
    subjects: list[str] | None = None,
    actor: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    after: str = "",
    limit: int = 50,
) -> Page[EventView]:
    """Events, newest first, that are of any of the types ("incident." is a prefix) and about all of the subjects."""
    found = call.plane.ledger.find(
        types=tuple(types or ()), subjects=tuple(subjects or ()), actor=actor, since=since, until=until, after=after,
        limit=limit + 1,
    )  # fmt: skip
    return Page(items=_events(call, found[:limit]), next=found[limit - 1].id if len(found) > limit else "")


@operation("events.show", scope=SEEN)
def events_show(call: Call, id: str) -> EventView:
    """One event. Error: not found."""
    return _events(call, [call.plane.ledger.get(id)])[0]


@operation("events.chain", scope=SEEN)
def events_chain(call: Call, id: str) -> list[EventView]:
    """The event, its cause, the cause of that, and so on to the root."""
    chain = call.plane.ledger.chain(id)
    call.sight.require(chain[0])
    return _events(call, chain)


@operation("events.effects", scope=SEEN)
def events_effects(call: Call, id: str) -> list[EventView]:
    """What this event caused directly, oldest first."""
    call.sight.require(call.plane.ledger.get(id))
    return _events(call, call.plane.ledger.effects(id))


@operation("ledger.verify", scope=Shared("the proof holds for all events or for none, and shows none"))
def ledger_verify(call: Call) -> LedgerCheck:
    """Check the whole chain and every signed checkpoint: edited, deleted, cut off, recomputed."""
    plane, key = call.plane, CheckpointKey(call.plane.settings.keys)
    found = verify(plane.store, plane.ledger, read_checkpoints(key.file), key.public())
    return LedgerCheck(**{**asdict(found), "problems": list(found.problems)}, key=key.public_hex())


@operation("ledger.checkpoint", needs="admin", scope=WHOLE)
def ledger_checkpoint(call: Call) -> CheckpointView:
    """Sign the end of the chain into the file outside the database."""
    plane, key = call.plane, CheckpointKey(call.plane.settings.keys)
    made = write_checkpoint(plane.store, plane.clock, key)
    return CheckpointView(seq=made.seq if made else None, hash=made.hash if made else "", file=str(key.file))


@operation("ledger.erase", needs="admin", scope=WHOLE)
def ledger_erase(call: Call, id: str, *, reason: str) -> EventView:
    """Erase what an event says, such as personal data; that it happened, when and by whom stays, and the ledger still verifies.

    It cannot be undone. Copies outside the ledger, backups among them, are not touched. Error: not found; no reason; erased already."""
    plane, why = call.plane, " ".join(reason.split())
    if not why:
        raise Invalid("an erasure needs a reason that an auditor will understand")
    event = plane.ledger.get(id)
    if event.erased:
        raise Conflict(f"event {id} is erased already: {event.erased}")
    if event.type == "event.erased":
        raise Conflict(f"event {id} tells why another was erased, and stays")
    with plane.store.begin() as tx:
        plane.ledger.erase(tx, id, actor=call.actor.id, reason=why)
    return _events(call, [plane.ledger.get(id)])[0]


def _events(call: Call, events: list[Event]) -> list[EventView]:
    told = Sentences(declared for area in call.plane.areas for declared in area.events)
    return [
        EventView(
            id=event.id, type=event.type, sentence=told.tell(event), time=event.time, recorded=event.recorded,
            actor=event.actor, cause=event.cause, subjects=list(event.subjects), data=dict(event.data), seq=event.seq,
            hash=event.hash, erased=event.erased,
        )
        for event in events
    ]  # fmt: skip
