"""What infrastructure records: this machine and its tools when they change, its runner once, and what ends soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.areas.infrastructure import store as rows
from opsroom.areas.infrastructure.endings import endings
from opsroom.areas.infrastructure.machine import read_machine
from opsroom.areas.infrastructure.model import Ending, Machine, changes
from opsroom.areas.infrastructure.store import Registered, Seen
from opsroom.areas.infrastructure.tools import tools_of

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.store import Tx

ACTOR = "system:infrastructure"


def machine_of(plane: Plane) -> Machine:
    """This machine, with the file systems of the state and of the keys."""
    return read_machine((plane.settings.state, plane.settings.keys))


def observe(plane: Plane, cause: str = "") -> None:
    """Records this machine where it is otherwise than last recorded, and its runner where it is new. `cause` "": the event that last
    brought an ops repo into force; before the first, nothing is recorded."""
    cause = cause or _last_catalog(plane)
    if not cause:
        return
    machine = machine_of(plane)
    facts = machine.lasting()
    facts |= {tool.name: tool.version or tool.state for tool in tools_of(plane) if tool.kind in ("program", "database")}
    with plane.store.read() as tx:
        before, registered = rows.inventory_of(tx, machine.name), rows.runners(tx)
    if before is not None and before.facts == facts and machine.name in registered:
        return
    with plane.store.begin() as tx:
        before = rows.inventory_of(tx, machine.name)
        if before is None or before.facts != facts:
            _observed(plane, tx, machine, facts, before, cause)
        if machine.name not in rows.runners(tx):
            _registered(plane, tx, machine.name, cause)


def tell_endings(plane: Plane) -> None:
    """Records expiry.near for what ends within 30, 14, 7 and 1 days, each once."""
    now = plane.clock.now()
    due = {
        f"{one.kind}:{one.id}:{one.expires}:{days}": (one, days)
        for one in endings(plane)
        if (days := one.threshold(now))
    }
    with plane.store.read() as tx:
        known = rows.told(tx, due)
    for notice, (one, days) in due.items():
        if notice not in known:
            with plane.store.begin() as tx:
                if not rows.told(tx, [notice]):
                    _near(plane, tx, one, days, notice)


def _observed(
    plane: Plane, tx: Tx, machine: Machine, facts: dict[str, str], before: Seen | None, cause: str
) -> None:  # fmt: skip
    now = plane.clock.now()
    event = plane.ledger.record(
        tx, "inventory.observed", actor=ACTOR, cause=cause, subjects=[f"host:{machine.name}"],
        data={"host": machine.name, "changed": "; ".join(changes(before.facts if before else None, facts)), "facts": facts},
    )  # fmt: skip
    rows.keep_inventory(tx, machine.name, Seen(facts=facts, seen=now, event=event.id))


def _registered(plane: Plane, tx: Tx, name: str, cause: str) -> None:
    slots = plane.settings.job_slots
    event = plane.ledger.record(
        tx, "runner.registered", actor=ACTOR, cause=cause, key=f"runner:{name}", subjects=[f"runner:{name}", f"host:{name}"],
        data={"runner": name, "kind": "local", "slots": slots},
    )  # fmt: skip
    rows.add_runner(tx, name, Registered(registered=plane.clock.now(), event=event.id))


def _near(plane: Plane, tx: Tx, one: Ending, days: int, notice: str) -> None:
    assert one.expires is not None
    event = plane.ledger.record(
        tx, "expiry.near", actor=ACTOR, cause=one.cause or _began(plane, one), key=f"expiry:{notice}",
        subjects=[f"{one.kind}:{one.id}", *([one.owner] if one.owner.startswith("person:") else [])],
        data={"kind": one.kind, "name": one.name, "days": days, "expires": one.expires.isoformat(), "owner": one.owner,
              "breaks": "; ".join(one.breaks)},
    )  # fmt: skip
    rows.add_notice(tx, notice, plane.clock.now(), event.id)


def _began(plane: Plane, one: Ending) -> str:
    """The event that began it, for a token; the ops repo in force for what it names."""
    if one.kind == "token":
        found = plane.ledger.find(types=("token.created",), subjects=(f"token:{one.id}",), limit=1)
        return found[0].id if found else ""
    return _last_catalog(plane)


def _last_catalog(plane: Plane) -> str:
    found = plane.ledger.find(types=("catalog.changed",), limit=1)
    return found[0].id if found else ""
