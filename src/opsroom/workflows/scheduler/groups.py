"""Concurrency groups: one holder runs, one newcomer waits, and a newer newcomer takes the place of the one that waits.

Source: "Control the concurrency of workflows and jobs" (GitHub Actions). Whoever loses its place is told why.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from opsroom.kernel.store import Tx, table

GROUPS = table("run_groups", "name", "holder", "pending")


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """A run (`job` "") or a job that holds a group or waits for it."""

    run: str
    job: str
    attempt: int

    def __str__(self) -> str:
        return f"{self.run}/{self.job}/{self.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What follows from a request or a release: who has the group now, and who is to be cancelled."""

    granted: Member | None = None
    replaced: Member | None = None
    cancelled: Member | None = None


def scoped(repository: str, group: str) -> str:
    """The name under which a repository's group is kept; upper and lower case make no difference, as at GitHub."""
    return f"{repository}:{group.lower()}"


def request(tx: Tx, name: str, newcomer: Member, *, cancel_in_progress: bool) -> Answer:
    """Asks for the group; asking again changes nothing."""
    held = tx.row(sa.select(GROUPS).where(GROUPS.c.name == name))
    if held is None:
        tx.execute(sa.insert(GROUPS).values(name=name, holder=str(newcomer), pending=""))
        return Answer(granted=newcomer)
    if str(newcomer) == held["holder"]:
        return Answer(granted=newcomer)
    if str(newcomer) == held["pending"]:
        return Answer()
    tx.execute(sa.update(GROUPS).where(GROUPS.c.name == name).values(pending=str(newcomer)))
    return Answer(replaced=_member(held["pending"]), cancelled=_member(held["holder"]) if cancel_in_progress else None)


def release(tx: Tx, name: str, leaver: Member) -> Answer:
    """Gives the group, or the place in the queue, back; whoever is no member changes nothing."""
    held = tx.row(sa.select(GROUPS).where(GROUPS.c.name == name))
    if held is None:
        return Answer()
    mine = GROUPS.c.name == name
    if str(leaver) == held["pending"]:
        tx.execute(sa.update(GROUPS).where(mine).values(pending=""))
    elif str(leaver) == held["holder"]:
        if not held["pending"]:
            tx.execute(sa.delete(GROUPS).where(mine))
            return Answer()
        tx.execute(sa.update(GROUPS).where(mine).values(holder=held["pending"], pending=""))
        return Answer(granted=_member(held["pending"]))
    return Answer()


def _member(text: str) -> Member | None:
    if not text:
        return None
    run, job, attempt = text.split("/")
    return Member(run, job, int(attempt))
