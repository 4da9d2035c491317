"""What security does on events and on time: ties findings to digests, closes those of dead branches, reopens, proves controls."""

from __future__ import annotations

from opsroom.areas.security import store as rows
from opsroom.areas.security.controls import record_evidence
from opsroom.areas.security.recording import close_branch, reopen
from opsroom.contracts.area import Duty, Subscription
from opsroom.contracts.plane import Plane
from opsroom.kernel.ledger import Event

EVIDENCE_SECONDS = 5.0


def tie_to_digest(plane: Plane, event: Event) -> None:
    """What was seen on a commit was seen on what is built from it."""
    commit, digest = event.subject("commit"), event.subject("digest")
    if commit and digest:
        with plane.store.begin() as tx:
            rows.set_digest(tx, commit, digest)


def forget_branch(plane: Plane, event: Event) -> None:
    """A push that deletes a branch closes what stood there alone."""
    if not event.data.get("after") and event.data.get("ref"):
        close_branch(plane, event.subject("repository"), str(event.data["ref"]), event)


def end_of_waiver(plane: Plane, event: Event) -> None:
    """What a waiver covered, and is still there, is open again."""
    if event.data.get("kind") == "finding-ignored":
        reopen(plane, event)


SUBSCRIPTIONS = (
    Subscription(name="tie-to-digest", types=("artifact.published",), handle=tie_to_digest),
    Subscription(name="forget-branch", types=("change.pushed",), handle=forget_branch),
    Subscription(name="end-of-waiver", types=("waiver.ended",), handle=end_of_waiver),
)
DUTIES = (Duty(name="evidence", seconds=EVIDENCE_SECONDS, run=record_evidence),)
