"""Watching Git: every branch or tag that moved becomes one `change.pushed`, told together with the ref as it was last seen."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from opsroom.contracts.area import Duty
from opsroom.contracts.repositories import repositories, services_of
from opsroom.kernel.clock import stamp
from opsroom.kernel.errors import UserError
from opsroom.kernel.store import Tx, table

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.commits import Commit
    from opsroom.kernel.repos import RefChange, Repos

REFS = table("watched_refs", "repository", "ref", "commit_id")
COMMITS_TOLD = 50
MESSAGE_LIMIT = 2000


@dataclass
class _Look:
    """One look at a time, and the faults that were said already."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    said: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


_looks: WeakKeyDictionary[Repos, _Look] = WeakKeyDictionary()


def watch(plane: Plane) -> list[str]:
    """Looks at every repository of the catalog and records what moved; returns the ids of the events."""
    look = _look_of(plane)
    with look.turn:
        _keep_watching(plane, look)
        changes = plane.repos.poll()
        _say_faults(plane, look)
        return [event for name, moved in _by_repository(changes) for event in _record_all(plane, name, moved)]


def faults(plane: Plane) -> Mapping[str, str]:
    """Why a repository cannot be read, by its name."""
    return {**plane.repos.faults(), **_look_of(plane).refused}


WATCH = Duty(name="watch", seconds=lambda plane: plane.settings.poll_seconds, run=lambda plane: _silent(watch(plane)))


def _silent(_: object) -> None:
    """A duty answers nothing."""


def _look_of(plane: Plane) -> _Look:
    return _looks.setdefault(plane.repos, _Look())


def _keep_watching(plane: Plane, look: _Look) -> None:
    wanted = repositories(plane)
    look.refused.clear()
    for name, url in wanted.items():
        try:
            seen = {} if name in plane.repos.names() else _seen(plane, name)
            plane.repos.watch(name, url, seen=seen)
        except UserError as error:
            look.refused[name] = str(error)
    for name in plane.repos.names():
        if name not in wanted:
            plane.repos.forget(name)


def _say_faults(plane: Plane, look: _Look) -> None:
    now = {**plane.repos.faults(), **look.refused}
    for name, fault in now.items():
        if look.said.get(name) != fault:
            plane.journal.warning("a repository cannot be read", repository=name, fault=fault)
    for name in look.said.keys() - now.keys():
        plane.journal.info("a repository can be read again", repository=name)
    look.said = now


def _by_repository(changes: Sequence[RefChange]) -> Iterator[tuple[str, list[RefChange]]]:
    for name in dict.fromkeys(change.repository for change in changes):
        yield name, [change for change in changes if change.repository == name]


def _record_all(plane: Plane, name: str, changes: Sequence[RefChange]) -> Iterator[str]:
    default = f"refs/heads/{plane.repos.default_branch(name)}"
    known = bool(_seen(plane, name))
    for change in changes:
        # Of a repository never seen before only the default branch is news: its other refs are its past.
        told = _Push.read(plane, change, default) if known or change.ref == default else None
        if event := _record(plane, change, told):
            yield event
        plane.repos.accept(change)


@dataclass(frozen=True, kw_only=True)
class _Push:
    """What a ref's move brought: read from Git before the transaction begins."""

    head: Commit | None
    commits: Sequence[Commit]

    @classmethod
    def read(cls, plane: Plane, change: RefChange, default: str) -> _Push:
        repos, name = plane.repos, change.repository
        if not change.after:
            return cls(head=None, commits=())
        before = change.before
        if not before and change.ref != default:
            before = repos.refs(name).get(default, "")
        return cls(head=repos.commit(name, change.after), commits=repos.log(name, change.after, before, COMMITS_TOLD))


def _record(plane: Plane, change: RefChange, told: _Push | None) -> str:
    """The event's id; "" where nothing is told, or the ref stood there already."""
    with plane.store.begin() as tx:
        moved, before = _move(tx, change)
        if not moved or told is None:
            return ""
        event = plane.ledger.record(
            tx, "change.pushed", actor=_actor(plane, told.head), subjects=_subjects(plane, change),
            data=_data(change, before, told),
        )  # fmt: skip
        return event.id


def _move(tx: Tx, change: RefChange) -> tuple[bool, str]:
    """Whether the stored ref was moved by this transaction, and where it stood. Two that look at once move it once."""
    here = sa.and_(REFS.c.repository == change.repository, REFS.c.ref == change.ref)
    before = str(tx.scalar(sa.select(REFS.c.commit_id).where(here)) or "")
    if before == change.after:
        return False, before
    if not change.after:
        return bool(tx.execute(sa.delete(REFS).where(here, REFS.c.commit_id == before)).rowcount), before
    if before:
        moved = tx.execute(sa.update(REFS).where(here, REFS.c.commit_id == before).values(commit_id=change.after))
        return bool(moved.rowcount), before
    row = {"repository": change.repository, "ref": change.ref, "commit": change.after}
    added = tx.execute(
        "INSERT INTO watched_refs (repository, ref, commit_id) VALUES (:repository, :ref, :commit) ON CONFLICT DO NOTHING",
        row,
    )
    return bool(added.rowcount), ""


def _subjects(plane: Plane, change: RefChange) -> list[str]:
    services = [f"service:{name}" for name in services_of(plane, change.repository)]
    commit = [f"commit:{change.after}"] if change.after else []
    return [f"repository:{change.repository}", *commit, *services]


def _data(change: RefChange, before: str, told: _Push) -> dict[str, Any]:
    return {
        "repository": change.repository, "ref": change.ref, "branch": change.branch or change.ref.removeprefix("refs/tags/"),
        "before": before, "after": change.after, "forced": change.forced,
        "author": told.head.author if told.head else "", "message": told.head.message[:MESSAGE_LIMIT] if told.head else "",
        "subject": told.head.subject if told.head else "deleted",
        "commits": [
            {"commit": one.id, "author": one.author, "message": one.subject, "time": stamp(one.time)} for one in told.commits
        ],
    }  # fmt: skip


def _actor(plane: Plane, head: Commit | None) -> str:
    """The person of the catalog whose address or name the commit bears; Git proves neither, so anyone else stays a Git author."""
    if head is None:
        return "system:git"
    for user in plane.catalogs.current().all("User"):
        if user.spec.profile.email == head.email or user.name == head.author:
            return f"person:{user.name}"
    return f"git:{head.email or head.author or 'unknown'}"


def _seen(plane: Plane, name: str) -> dict[str, str]:
    with plane.store.read() as tx:
        rows = tx.rows(sa.select(REFS).where(REFS.c.repository == name))
    return {row["ref"]: row["commit_id"] for row in rows}
