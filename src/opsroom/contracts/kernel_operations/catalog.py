"""The catalog on every surface: what the ops repo says at the commit in force, and what is wrong with the newest one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opsroom.contracts.operations import Model, operation
from opsroom.contracts.scopes import Shared
from opsroom.kernel.errors import NotFound
from opsroom.kernel.resources import KINDS, Resource, schema_of

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call


class ResourceView(Model):
    """A resource and where it is written; `spec` is there when one was asked for by name."""

    kind: str
    name: str
    title: str
    description: str
    owner: str
    place: str
    spec: Any | None = None


class CatalogView(Model):
    """Resources at the commit in force. `offered` is the newest commit; where it differs, it has problems."""

    commit: str
    offered: str
    resources: list[ResourceView]


class ProblemView(Model):
    """One thing wrong, where, and what would be right."""

    place: str
    message: str
    way_out: str


class CatalogProblems(Model):
    """What is wrong with the newest commit; `in_force` is the commit that stays in force meanwhile."""

    commit: str
    in_force: str
    problems: list[ProblemView]


class CatalogSchema(Model):
    """A JSON Schema (2020-12) of one document of any of these kinds; a kind known by its path stands in its `$defs` alone."""

    kinds: list[str]
    document: dict[str, Any]


@operation("catalog.show", scope=Shared("the ops repo is what all teams decide together"))
def catalog_show(call: Call, *, kind: str = "", name: str = "") -> CatalogView:
    """What the ops repo declares, of one kind or all; with `name` the whole of it. Error: no such resource."""
    catalogs = call.plane.catalogs
    catalog = catalogs.current()
    if kind and name:
        found = [catalog.get(kind, name)]
    else:
        declared = [*KINDS, *(one for area in call.plane.areas for one in area.kinds)]
        wanted = [one.name for one in declared if kind in ("", one.name)]
        found = [one for each in dict.fromkeys(wanted) for one in catalog.all(each) if name in ("", one.name)]
    resources = [_resource(one, whole=bool(name)) for one in found]
    return CatalogView(commit=catalog.commit, offered=catalogs.offered, resources=resources)


@operation("catalog.problems", scope=Shared("a commit with problems holds back every team"))
def catalog_problems(call: Call) -> CatalogProblems:
    """Everything wrong with the newest commit of the ops repo, by file, line and column."""
    catalogs = call.plane.catalogs
    problems = [
        ProblemView(place=str(one.place), message=one.message, way_out=one.way_out) for one in catalogs.problems()
    ]
    return CatalogProblems(commit=catalogs.offered, in_force=catalogs.current().commit, problems=problems)


@operation("catalog.schema", scope=Shared("what may be written is the same for every team"))
def catalog_schema(call: Call, *, kind: str = "") -> CatalogSchema:
    """The JSON Schema of what the ops repo may declare, of one kind or all, for editors and checks. Error: no such kind."""
    declared = [*KINDS, *(one for area in call.plane.areas for one in area.kinds)]
    found = [one for one in declared if kind in ("", one.name)]
    if not found:
        raise NotFound(f"kind {kind!r} is none of {', '.join(sorted({one.name for one in declared}))}")
    return CatalogSchema(kinds=[one.name for one in found], document=schema_of(found))


def _resource(resource: Resource, *, whole: bool) -> ResourceView:
    return ResourceView(
        kind=resource.kind,
        name=resource.name,
        title=resource.title,
        description=resource.metadata.description,
        owner=getattr(resource.spec, "owner", "") or "",
        place=str(resource.place),
        spec=resource.raw if whole else None,
    )
