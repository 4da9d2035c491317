"""Making plans: what would change on a host, compared without a way to write, stored and told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from opsroom.areas.configuration import store as rows
from opsroom.areas.configuration.model import OPEN, FileState, Known, PlanState, StoredPlan, Target, shown_fields
from opsroom.areas.configuration.wanted import reader_of, wanted_of
from opsroom.kernel.errors import NotFound
from opsroom.kernel.plan import Change, Plan, compare

if TYPE_CHECKING:
    from opsroom.areas.configuration.disk import Disk
    from opsroom.contracts.plane import Plane

KIND = "file"


def make_plan(plane: Plane, target: Target, *, paths: Collection[str] = (), disk: Disk | None = None) -> Plan:
    """What makes the host's files those of the commit in force; `paths` keeps it to some of them. Reads only."""
    catalog = plane.catalogs.current()
    wanted = wanted_of(catalog, target.name)
    if strange := sorted(set(paths) - set(wanted)):
        raise NotFound(
            f"{strange[0]!r} is no managed file of {target.name}; there are: {', '.join(sorted(wanted)) or 'none'}"
        )
    names = sorted(set(paths) or wanted)
    with reader_of(plane, target, disk=disk) as reader:
        actual, unknown = reader.read_all(names)
        made = reader.exists
    with plane.store.read() as tx:
        known = rows.known_objects(tx, target.name)
    return compare(
        target=target.name,
        commit=catalog.commit,
        kind=KIND,
        desired={path: fields_of(plane, one) for path in names if (one := wanted[path].state) is not None},
        actual={path: fields_of(plane, state) for path, state in actual.items()},
        unknown=unknown,
        risk=lambda change: _risk(target, change, actual, known, made),
    )


def store_plan(
    plane: Plane, plan: Plan, *, actor: str, cause: str = "", key: str = "", whole: bool = True
) -> StoredPlan:
    """Keeps a plan and tells of it by configuration.planned; the same plan again is the one that is open. A `whole` plan takes the
    place of those before it. `cause` "": the catalog.changed that brought its commit into force."""
    with plane.store.read() as tx:
        same = rows.find_plans(tx, target=plan.target, states=(*OPEN, "empty"), digest=plan.digest, limit=1)
    if same and not plan.empty and not key:
        return same[0]
    cause = cause or catalog_event(plane, plan.commit)
    state: PlanState = "empty" if plan.empty else "planned"
    with plane.store.begin() as tx:
        id, now = plane.clock.new_id("pln"), plane.clock.now()
        event = plane.ledger.record(
            tx, "configuration.planned", actor=actor, cause=cause, time=now,
            subjects=[f"host:{plan.target}", f"plan:{id}", *([f"commit:{plan.commit}"] if plan.commit else [])],
            data={"plan": id, "digest": plan.digest, "target": plan.target, "commit": plan.commit, "changes": len(plan.changes),
                  "unknown": len(plan.unknown), "files": [change.name for change in plan.changes[:100]],
                  "risks": sum(bool(change.risk) for change in plan.changes)},
        )  # fmt: skip
        stored = StoredPlan(
            id=id, plan=plan, digest=plan.digest, state=state, created=now, created_by=actor, event=event.id, key=key,
            finished=now if plan.empty else None,
        )  # fmt: skip
        rows.add_plan(tx, stored)
        if whole:
            rows.supersede(tx, plan.target, but=id, now=now)
    return stored


def fields_of(plane: Plane, state: FileState) -> dict[str, str]:
    """A file as plans and pages show it, without what must not be seen."""
    return shown_fields(state, lambda text: plane.secrets.redact(text) != text)


def catalog_event(plane: Plane, commit: str) -> str:
    """The event that brought a commit into force; "" where none is known."""
    if not commit:
        return ""
    found = plane.ledger.find(types=("catalog.changed",), subjects=(f"commit:{commit}",), limit=1)
    return found[0].id if found else ""


def _risk(
    target: Target, change: Change, actual: Mapping[str, FileState], known: Mapping[str, Known], made: bool
) -> str:
    """What may be lost or opened by a change."""
    risks, state, last = [], actual.get(change.name), known.get(change.name)
    mode = next((item for item in change.fields if item.name == "mode"), None)
    if change.verb == "delete":
        risks.append("the file is deleted")
    elif state is not None and len(change.fields) > (mode is not None) and (last is None or last.mark != state.mark):
        risks.append("what was changed outside is lost")
    if mode is not None and mode.after is not None and _opens(mode.before, mode.after):
        risks.append(f"mode {mode.after} opens it to others")
    if not made:
        risks.append(f"the folder {target.folder} is not there and will be made")
    return "; ".join(risks)


def _opens(before: str | None, after: str) -> bool:
    """Whether a mode lets others write, or a program run as its owner, that could not before."""
    return bool((int(after, 8) & ~int(before or "0", 8)) & 0o6022)
