"""The catalog: every resource of the ops repo at one commit, and which commit is in force."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel

from opsroom.kernel.errors import NotFound, Place, Problem
from opsroom.kernel.resources.faults import meant
from opsroom.kernel.resources.model import Resource
from opsroom.kernel.resources.references import ServiceGraph, parse_ref, service_graph

M = TypeVar("M", bound=BaseModel)


class Catalog:
    """Resources by kind and name at one commit; never changes. `files` are the repository's, by path; `variables` what `vars` holds."""

    def __init__(
        self, commit: str = "", resources: Iterable[Resource] = (), *, files: Mapping[str, str | bytes] | None = None,
        variables: Mapping[str, Any] | None = None, problems: Sequence[Problem] = (),
    ) -> None:  # fmt: skip
        self.commit = commit
        self.files: Mapping[str, str | bytes] = MappingProxyType({}) if files is None else files
        self.variables: Mapping[str, Any] = MappingProxyType(dict(variables or {}))
        self.problems = tuple(problems)
        self._by_kind: dict[str, dict[str, Resource]] = {}
        for resource in resources:
            self._by_kind.setdefault(resource.kind, {})[resource.name] = resource

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of which there is a resource."""
        return tuple(sorted(self._by_kind))

    def find(self, kind: str, name: str) -> Resource | None:
        """The resource, or None. `name` may be a reference such as `group:shop-team`."""
        return self._by_kind.get(kind, {}).get(parse_ref(name, kind)[1])

    def get(self, kind: str, name: str) -> Resource:
        """The resource. Error: not found, with the nearest name."""
        resource = self.find(kind, name)
        if resource is None:
            known = sorted(self._by_kind.get(kind, {}))
            raise NotFound(f"no {kind} {name!r} in the ops repo; {meant(name, known, what='there are')}")
        return resource

    def all(self, kind: str) -> tuple[Resource, ...]:
        """Every resource of the kind, by name."""
        return tuple(resource for _, resource in sorted(self._by_kind.get(kind, {}).items()))

    def specs(self, model: type[M]) -> dict[str, M]:
        """The spec of every resource whose kind has this model, by name."""
        found = (resource for kind in self._by_kind for resource in self.all(kind))
        return {resource.name: resource.spec for resource in found if type(resource.spec) is model}

    def place(self, resource: Resource) -> Place:
        """Where the resource is written."""
        return resource.place

    def graph(self) -> ServiceGraph:
        """Who needs whom."""
        return self._graph

    def owner_of(self, name: str) -> str:
        """The owner of a Component, or of any `kind:name`: a Group's name, or `user:NAME`. Error: not found."""
        kind, bare = parse_ref(name, "Component")
        known = {one.lower(): one for one in self._by_kind}
        resource = self.get(known.get(kind.lower(), kind), bare)
        owner_kind, owner = parse_ref(getattr(resource.spec, "owner", "") or "", "Group")
        return owner if owner_kind.lower() == "group" else f"{owner_kind.lower()}:{owner}"

    def members_of(self, group: str) -> tuple[str, ...]:
        """Names of the users in a group and in the groups below it. Error: not found."""
        start = self.get("Group", group).name
        groups, users = [start], set[str]()
        for name in groups:
            found = self.find("Group", name)
            if found is not None:
                users |= {parse_ref(user, "User")[1] for user in found.spec.members}
                groups += [below for ref in found.spec.children if (below := parse_ref(ref, "Group")[1]) not in groups]
        for user in self.all("User"):
            if {parse_ref(ref, "Group")[1] for ref in user.spec.member_of} & set(groups):
                users.add(user.name)
        return tuple(sorted(users))

    def read(self, path: str) -> bytes:
        """The bytes of a file of the ops repo at this commit. Error: not found."""
        if path not in self.files:
            raise NotFound(f"no file {path!r} in the ops repo at {self.commit[:12] or 'no commit'}")
        value = self.files[path]
        return value.encode() if isinstance(value, str) else value

    @cached_property
    def _graph(self) -> ServiceGraph:
        return service_graph(self)


class Catalogs:
    """Which catalog is in force: the last one offered without problems. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._current = Catalog()
        self._offered = ""
        self._problems: tuple[Problem, ...] = ()
        self._callbacks: list[Callable[[Catalog, Catalog], None]] = []

    def current(self) -> Catalog:
        """The catalog in force; an empty one with the commit "" before the first."""
        return self._current

    def offer(self, commit: str, catalog: Catalog, problems: Sequence[Problem]) -> bool:
        """Puts a catalog in force where it has no problems, and then tells the callbacks; whether it did. A bad one only leaves its problems."""
        with self._lock:
            self._offered, self._problems = commit, tuple(problems)
            if problems:
                return False
            before, self._current = self._current, catalog
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback(before, catalog)
        return True

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the commit offered last; empty when it is in force."""
        return self._problems

    @property
    def offered(self) -> str:
        """The commit offered last, in force or not."""
        return self._offered

    def on_change(self, callback: Callable[[Catalog, Catalog], None]) -> None:
        """Calls `callback(before, now)` each time another catalog comes into force, in the thread that offered it."""
        with self._lock:
            self._callbacks.append(callback)
