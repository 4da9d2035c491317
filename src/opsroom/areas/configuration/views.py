"""What the operations of configuration answer with."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from opsroom.areas.configuration.model import ObjectState, PlanState, StoredPlan
from opsroom.contracts.operations import Model

if TYPE_CHECKING:
    from opsroom.areas.configuration.drift import Status
    from opsroom.areas.configuration.store import DriftRow


class FieldView(Model):
    """One field that differs; None: it is not there on that side."""

    name: str
    before: str | None
    after: str | None


class ChangeView(Model):
    """One file to create, update or delete; `risk` says what may be lost or opened ("" : nothing)."""

    verb: str
    kind: str
    name: str
    risk: str
    fields: list[FieldView]


class PlanView(Model):
    """A plan: what would change on a host to make it as the ops repo has it at `commit`. `unknown` names what could not be read and
    why; nothing is planned for it. `text` is the same as a person reviews it; `digest` is what an approval names."""

    columns: ClassVar[tuple[str, ...]] = (
        "id", "target", "state", "changes", "unknown", "risks", "created", "created_by", "applied_by",
    )  # fmt: skip
    id: str
    digest: str
    target: str
    commit: str
    state: PlanState
    changes: list[ChangeView]
    unknown: dict[str, str]
    risks: int
    created: datetime
    created_by: str
    applied_by: str
    finished: datetime | None
    reason: str
    event: str
    text: str


class DriftObject(Model):
    """A file that was changed outside: what differs, whom it belongs to and when it was last written, as far as that is known.
    `accepted_until` is when its waiver ends."""

    path: str
    differs: list[str]
    owner: str
    modified: datetime | None
    found: datetime
    event: str
    accepted_until: datetime | None


class DriftView(Model):
    """Drift of a host. `objects` were changed outside and nobody accepted that; `unknown` could not be read, and why."""

    columns: ClassVar[tuple[str, ...]] = ("target", "objects", "accepted", "unknown")
    target: str
    objects: list[DriftObject]
    accepted: list[DriftObject]
    unknown: dict[str, str]


class ObjectView(Model):
    """A managed file and how it is. `resource` is its ManagedFile ("" : nobody manages it); `commit` and `event` say since when it was
    last as it should be; `reason` why its state is unknown."""

    columns: ClassVar[tuple[str, ...]] = ("path", "state", "reason", "mode", "owner", "modified")
    target: str
    path: str
    resource: str
    place: str
    state: ObjectState
    reason: str
    mode: str
    digest: str
    owner: str
    modified: datetime | None
    commit: str
    event: str


class AdoptedFile(Model):
    """What the ops repo says of a file now: `how` is added, changed or declared absent; `place` where it is written."""

    path: str
    how: str
    place: str


class Adoption(Model):
    """Files taken into the ops repo as they are. `patch` is what changes there; `commit` "" : it could not all be pushed, `reason` says
    why, and the patch is to be applied by hand. `refused` could not be adopted, and why."""

    target: str
    commit: str
    branch: str
    files: list[AdoptedFile]
    refused: dict[str, str]
    patch: str
    reason: str


def plan_view(stored: StoredPlan) -> PlanView:
    plan = stored.plan
    changes = [
        ChangeView(
            verb=change.verb, kind=change.kind, name=change.name, risk=change.risk,
            fields=[FieldView(name=item.name, before=item.before, after=item.after) for item in change.fields],
        )
        for change in plan.changes
    ]  # fmt: skip
    return PlanView(
        id=stored.id, digest=stored.digest, target=plan.target, commit=plan.commit, state=stored.state, changes=changes,
        unknown=dict(plan.unknown), risks=sum(bool(change.risk) for change in changes), created=stored.created,
        created_by=stored.created_by, applied_by=stored.applied_by, finished=stored.finished, reason=stored.reason,
        event=stored.event, text=plan.text(),
    )  # fmt: skip


def object_view(target: str, status: Status) -> ObjectView:
    wanted, actual, known = status.wanted, status.actual, status.known
    return ObjectView(
        target=target, path=status.path, resource=wanted.resource if wanted else "", place=str(wanted.place) if wanted else "",
        state=status.state, reason=status.reason, mode=actual.mode if actual else "", digest=actual.digest if actual else "",
        owner=actual.owner if actual else "", modified=actual.modified if actual else None,
        commit=known.commit if known else "", event=known.event if known else "",
    )  # fmt: skip


def drift_object(row: DriftRow, accepted_until: datetime | None) -> DriftObject:
    return DriftObject(
        path=row.path, differs=list(row.differs), owner=row.owner, modified=row.modified, found=row.found, event=row.event,
        accepted_until=accepted_until,
    )  # fmt: skip
