"""References between resources: reading them, checking them, and the service graph they make."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsroom.kernel.documents import Path
from opsroom.kernel.errors import Problem
from opsroom.kernel.resources.faults import dotted, meant, shown

if TYPE_CHECKING:
    from opsroom.kernel.resources.catalog import Catalog
    from opsroom.kernel.resources.model import Kind, Reference, Resource


def parse_ref(text: str, default_kind: str) -> tuple[str, str]:
    """`[kind:][namespace/]name` as the kind, as written or `default_kind`, and the name as `Resource.name` has it."""
    kind, colon, rest = text.partition(":")
    if not colon:
        kind, rest = default_kind, text
    return kind, rest.removeprefix("default/")


def values_at(value: Any, pattern: str) -> Iterator[tuple[Path, Any]]:
    """Every value that a path such as `services[].env.*` reaches, with its own path; what is absent is not reached."""
    yield from _walk(value, pattern.replace("[]", ".[]").split("."), ())


def check_references(
    resources: Iterable[Resource], files: Collection[str], kinds: Mapping[str, Kind], written: Mapping[str, Iterable[str]],
) -> Iterator[Problem]:  # fmt: skip
    """References of `resources`, broken ones too, that name nothing. `written` are the names by kind that stand in the files, those
    of broken resources included; `files` the paths of the repository."""
    for resource in resources:
        for reference in kinds[resource.kind].references:
            yield from _check(resource, reference, files, kinds, written)


def check_event_types(
    resources: Iterable[Resource], kinds: Mapping[str, Kind], known: Collection[str]
) -> Iterator[Problem]:
    """Fields that name a type of event that nothing records."""
    for resource in resources:
        for pattern in kinds[resource.kind].events:
            for path, text in values_at(resource.raw, pattern):
                if isinstance(text, str) and text not in known:
                    message = f"{dotted((*resource.root, *path))} {shown(text)} is no type of event"
                    yield Problem(resource.place_of(*path), message, meant(text, sorted(known), what="there are"))


def _walk(value: Any, parts: list[str], path: Path) -> Iterator[tuple[Path, Any]]:
    if not parts:
        yield path, value
        return
    part, rest = parts[0], parts[1:]
    if part == "[]":
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from _walk(item, rest, (*path, index))
    elif isinstance(value, Mapping):
        for key in value if part == "*" else (part,):
            if key in value:
                yield from _walk(value[key], rest, (*path, key))


def _check(
    resource: Resource, reference: Reference, files: Collection[str], kinds: Mapping[str, Kind], written: Mapping[str, Iterable[str]],
) -> Iterator[Problem]:  # fmt: skip
    value = resource.raw
    if reference.unless and isinstance(value, Mapping) and reference.unless in value:
        return
    for path, text in values_at(value, reference.path):
        if not isinstance(text, str) or text in reference.also or "${{" in text:
            continue  # A variable that could not be filled in is told where it stands.
        what = f"{dotted((*resource.root, *path))} {shown(text)}"
        if reference.file:
            fault = _file_fault(text, reference.file, files)
        else:
            fault = _resource_fault(text, reference, kinds, written)
        if fault:
            yield Problem(resource.place_of(*path), f"{what} {fault[0]}", fault[1])


def _file_fault(text: str, folder: str, files: Collection[str]) -> tuple[str, str] | None:
    if text in files and (folder == "." or text.startswith(folder)):
        return None
    near = [path for path in files if folder == "." or path.startswith(folder)]
    where = "this repository" if folder == "." else folder
    return f"is no file in {where}", meant(text, near, what="there are")


def _resource_fault(
    text: str, reference: Reference, kinds: Mapping[str, Kind], written: Mapping[str, Iterable[str]]
) -> tuple[str, str] | None:
    known = [kind for kind in reference.kinds if kind in kinds]
    if not known:
        return None
    given, name = parse_ref(text, reference.kinds[0])
    kind = next((kind for kind in reference.kinds if kind.lower() == given.lower()), None)
    if kind is None:
        listed = " or ".join(f"{one.lower()}:{name}" for one in reference.kinds)
        return f"refers to a {given}, which may not stand here", f"write {listed}"
    if kind not in kinds or name in written.get(kind, ()):
        return None
    return f"refers to no {kind}", meant(name, sorted(written.get(kind, ())), what="there are")


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """`source` needs `target`, both as `kind:name`; `why` is the field that says so."""

    source: str
    target: str
    why: str


class ServiceGraph:
    """Who needs whom: `dependsOn`, `dependencyOf`, and APIs from their consumers to their providers."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self.edges: tuple[Edge, ...] = tuple(sorted(set(edges)))
        self._needs: dict[str, list[str]] = {}
        self._needed: dict[str, list[str]] = {}
        for edge in self.edges:
            self._needs.setdefault(edge.source, []).append(edge.target)
            self._needed.setdefault(edge.target, []).append(edge.source)

    def dependencies(self, service: str, *, transitive: bool = True) -> tuple[str, ...]:
        """Components that this one needs, by name, the nearest first; itself not, even in a circle."""
        return _reached(self._needs, service, transitive=transitive)

    def dependents(self, service: str, *, transitive: bool = True) -> tuple[str, ...]:
        """Components that need this one, by name, the nearest first."""
        return _reached(self._needed, service, transitive=transitive)


def service_graph(catalog: Catalog) -> ServiceGraph:
    """The graph of a catalog; a reference that names nothing is still an edge."""
    return ServiceGraph(_edges(catalog))


def _edges(catalog: Catalog) -> Iterator[Edge]:
    for kind in ("Component", "Resource"):
        for resource in catalog.all(kind):
            for text in resource.spec.depends_on:
                yield Edge(resource.ref, _ref(text, "Component"), "dependsOn")
            for text in resource.spec.dependency_of:
                yield Edge(_ref(text, "Component"), resource.ref, "dependencyOf")
    for resource in catalog.all("Component"):
        for text in resource.spec.consumes_apis:
            yield Edge(resource.ref, _ref(text, "API"), "consumesApis")
        for text in resource.spec.provides_apis:
            yield Edge(_ref(text, "API"), resource.ref, "providesApis")


def _ref(text: str, default_kind: str) -> str:
    kind, name = parse_ref(text, default_kind)
    return f"{kind.lower()}:{name}"


def _reached(edges: Mapping[str, list[str]], service: str, *, transitive: bool) -> tuple[str, ...]:
    start = f"component:{service.removeprefix('component:')}"
    found: dict[str, None] = {}
    seen, queue = {start}, deque([start])
    while queue:
        here = queue.popleft()
        for node in edges.get(here, ()):
            if node in seen:
                continue
            seen.add(node)
            kind, _, name = node.partition(":")
            if kind == "component":
                found[name] = None
            # A database or an API between two services does not lengthen the way.
            if transitive or kind == "api":
                queue.append(node)
    return tuple(found)
