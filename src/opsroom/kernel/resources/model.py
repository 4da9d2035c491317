"""Kinds and resources: what may stand in the ops repo, and what does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from opsroom.kernel.errors import Place, Problem
from opsroom.kernel.resources.fields import Name, OpenSpec, Text

if TYPE_CHECKING:
    from opsroom.kernel.documents import Node
    from opsroom.kernel.resources.catalog import Catalog


class Link(OpenSpec):
    """A link shown beside an entity."""

    url: Text
    title: str = ""
    icon: str = ""
    type: str = ""


class Metadata(OpenSpec):
    """`metadata` of every kind (Backstage's entity envelope). Annotation values are text; where a format lets a map stand, it is kept."""

    name: Name
    namespace: str = Field(default="default", pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    title: str = ""
    display_name: str = ""
    description: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str | Mapping[str, str]] = {}
    tags: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True, init=False)
class Reference:
    """A field that names something else. `path` is as in YAML, from the kind's model on: `owner`, `services[].service`.

    The value is a reference `[kind:][namespace/]name`, of the first of `kinds` where no kind is written. `also` are words that
    are no reference. `file`: the value is a path of a file in the repository instead, under this folder ("" : it is a reference;
    "." : anywhere). `unless` names a field whose presence makes the value none of our business."""

    path: str
    kinds: tuple[str, ...]
    also: tuple[str, ...]
    file: str
    unless: str

    def __init__(self, path: str, *kinds: str, also: tuple[str, ...] = (), file: str = "", unless: str = "") -> None:
        for name, value in (("path", path), ("kinds", kinds), ("also", also), ("file", file), ("unless", unless)):
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of resource, as the kernel or an area declares it.

    `model` is what stands under `spec`. A kind with `where` (globs over paths, `*` crosses folders) is known by its path instead
    of `kind:`; its model is the whole file, or the front matter of a Markdown file, and its name is the path. `also` are older
    API versions that are accepted. `secrets` are paths of fields that may hold `${{ secrets.NAME }}` (`services[].env.*`). `events`
    are paths of fields that name types of ledger events. `check`
    says what is wrong across resources beyond references; it is called once for each resource of the kind when all are loaded."""

    name: str
    api_version: str
    model: type[BaseModel]
    area: str = "kernel"
    plural: str = ""
    where: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    secrets: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    check: Callable[[Resource, Catalog], Iterable[Problem]] | None = None

    @property
    def many(self) -> str:
        """The plural; by default the name with an s."""
        return self.plural or f"{self.name}s"

    def covers(self, path: str) -> bool:
        """Whether a file at this path is of this kind by its path."""
        return any(fnmatchcase(path, pattern) for pattern in self.where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource. `name` is unique within its kind: `metadata.name`, with `NAMESPACE/` before it outside the namespace `default`, or
    the path for a kind known by its path. `spec` is a value of the kind's model, `raw` the same as plain values with variables filled
    in. `body` is the Markdown below the front matter."""

    kind: str
    name: str
    spec: Any
    metadata: Metadata
    place: Place
    node: Node = field(repr=False, compare=False)
    raw: Any = field(repr=False, compare=False, default=None)
    enveloped: bool = field(repr=False, default=True)
    body: str = field(default="", repr=False)

    @property
    def ref(self) -> str:
        """`kind:name` in lower-case kind, as references write it."""
        return f"{self.kind.lower()}:{self.name}"

    @property
    def title(self) -> str:
        """What people call it."""
        own = getattr(self.spec, "title", "")
        return self.metadata.title or self.metadata.display_name or str(own or "") or self.metadata.name

    def annotation(self, name: str) -> str:
        """The annotation's text; "" where there is none."""
        value = self.metadata.annotations.get(name, "")
        return value if isinstance(value, str) else ""

    def place_of(self, *path: str | int) -> Place:
        """Where a part of the spec stands, by its path as in YAML."""
        return self.node.place((*self.root, *path))

    @property
    def root(self) -> tuple[str, ...]:
        """The way from the document's root to the spec."""
        return ("spec",) if self.enveloped else ()


def schema_of(kinds: Iterable[Kind]) -> dict[str, Any]:
    """JSON Schema 2020-12 of one document of any of these kinds; kinds known by their path stand in `$defs` alone."""
    known = list(kinds)
    models: list[type[BaseModel]] = [Metadata, *dict.fromkeys(kind.model for kind in known)]
    refs, schema = models_json_schema([(model, "validation") for model in models], ref_template="#/$defs/{model}")
    enveloped = [
        {
            "type": "object",
            "title": kind.name,
            "required": ["apiVersion", "kind", "metadata"],
            "properties": {
                "apiVersion": {"enum": [kind.api_version, *kind.also]},
                "kind": {"const": kind.name},
                "metadata": refs[Metadata, "validation"],
                "spec": refs[kind.model, "validation"],
            },
        }
        for kind in known
        if not kind.where
    ]
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "title": "Opsroom resources", "oneOf": enveloped, "$defs": schema.get("$defs", {})}
