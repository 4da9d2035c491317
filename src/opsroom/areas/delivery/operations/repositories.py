"""Repositories: what is watched, where each stands, and why one cannot be read."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from opsroom.areas.delivery.watching import faults, watch
from opsroom.contracts.operations import Model, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.repositories import ops_repository, repositories, repository_of, services_of
from opsroom.contracts.scopes import WHOLE, Seen
from opsroom.contracts.sight import Sight
from opsroom.kernel.errors import NotFound, UserError
from opsroom.kernel.git import shown_url


class RepositoryView(Model):
    """One repository. `head` is the commit of its default branch ("" : none yet); `error` says why it cannot be read ("" : it can)."""

    columns: ClassVar[tuple[str, ...]] = ("name", "url", "default_branch", "head", "ops", "error")
    name: str
    url: str
    ops: bool
    default_branch: str
    head: str
    services: list[str]
    network: list[str]
    error: str


class RefView(Model):
    """A branch or tag and the commit it names."""

    ref: str
    commit: str


class CommitView(Model):
    """A commit of the default branch."""

    commit: str
    author: str
    message: str
    time: datetime


class RepositoryDetail(RepositoryView):
    """A repository with its refs and the newest commits of its default branch."""

    refs: list[RefView]
    commits: list[CommitView]


class Polled(Model):
    """What a look at all repositories found: the ids of the `change.pushed` events it recorded."""

    events: list[str]


def _shows(sight: Sight, one: RepositoryView) -> bool:
    """A repository is everyone's who owns a service in it; one without a service, such as the ops repo, belongs to no team."""
    return any(sight.sees(service=service) for service in one.services or [""])


@operation("repositories.list", scope=Seen(_shows))
def list_repositories(call: Call) -> list[RepositoryView]:
    """Every repository that is watched: the ops repo, and those its Components name."""
    return [_view(call, name) for name in repositories(call.plane)]


@operation("repositories.show", scope=Seen(_shows))
def show_repository(call: Call, id: str) -> RepositoryDetail:
    """One repository with its refs and newest commits. Error: not found."""
    view, repos = _view(call, id), call.plane.repos
    known = {}
    if id in repos.names() and repos.path(id).exists():
        known = repos.refs(id)
    commits = repos.log(id, view.head, limit=20) if view.head else []
    return RepositoryDetail(
        **view.model_dump(),
        refs=[RefView(ref=ref, commit=commit) for ref, commit in sorted(known.items())],
        commits=[
            CommitView(commit=one.id, author=one.author, message=one.subject, time=one.time) for one in commits
        ],
    )  # fmt: skip


@operation("repositories.poll", needs="operate", scope=WHOLE)
def poll_repositories(call: Call) -> Polled:
    """Look at every repository now; those on other machines are asked in the background."""
    return Polled(events=watch(call.plane))


def _view(call: Call, name: str) -> RepositoryView:
    plane = call.plane
    known = repositories(plane)
    if name not in known:
        raise NotFound(f"repository {name!r} is not in the catalog; there are: {', '.join(known) or 'none'}")
    branch, head, error = "", "", faults(plane).get(name, "")
    network: tuple[str, ...] = ()
    try:
        network = repository_of(plane, name).network
        if plane.repos.path(name).exists():
            branch = plane.repos.default_branch(name)
            head = plane.repos.resolve(name, f"refs/heads/{branch}") if branch else ""
    except UserError as unread:
        error = error or str(unread)
    return RepositoryView(
        name=name, url=shown_url(known[name]), ops=name == ops_repository(plane), default_branch=branch, head=head,
        services=list(services_of(plane, name)), network=list(network), error=error,
    )  # fmt: skip
