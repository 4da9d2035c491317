"""Loading the ops repo: every file that holds resources, every resource, every problem."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from opsroom.kernel.documents import Node, Path, load_document, load_documents
from opsroom.kernel.errors import Place, Problem
from opsroom.kernel.resources.catalog import Catalog
from opsroom.kernel.resources.entities import KINDS
from opsroom.kernel.resources.faults import dotted, meant, shown, validate
from opsroom.kernel.resources.model import Kind, Metadata, Resource
from opsroom.kernel.resources.references import check_event_types, check_references
from opsroom.kernel.resources.variables import fill_variables

_ENVELOPE = ("apiVersion", "kind", "metadata", "spec")


def load_catalog(
    files: Mapping[str, str | bytes], commit: str, kinds: Iterable[Kind] = (), *, event_types: Collection[str] = ()
) -> tuple[Catalog, list[Problem]]:
    """The catalog of `files` (path → text), and everything wrong with them, by place; never stops at the first.

    `kinds` are those of the areas; the kernel's own are always known. A resource with a problem of its own is left out.
    `event_types`: the types of ledger events that fields may name; none: any."""
    loader = _Loader(files, [*KINDS, *kinds], event_types)
    for path in sorted(files):
        loader.read(path)
    return loader.finish(commit)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A resource as written: not yet validated."""

    kind: Kind
    name: str
    metadata: Metadata
    node: Node
    body: str = ""
    sound: bool = True
    """Whether its metadata holds; where not, its spec is still read, so that all its problems are told at once."""

    @property
    def enveloped(self) -> bool:
        return not self.kind.where

    @property
    def root(self) -> Path:
        return ("spec",) if self.enveloped else ()


class _Loader:
    """Collects drafts file by file, then makes resources of them."""

    def __init__(self, files: Mapping[str, str | bytes], kinds: list[Kind], event_types: Collection[str]) -> None:
        self.files = files
        self.event_types = sorted(event_types)
        self.kinds = {kind.name: kind for kind in kinds}
        self.groups = sorted({kind.api_version.partition("/")[0] for kind in kinds if not kind.where})
        groups = "|".join(map(re.escape, self.groups)).encode()
        self.ours = re.compile(rb"^apiVersion:[ \t]*[\"']?(?:" + groups + rb")/", re.MULTILINE)
        self.problems: list[Problem] = []
        self.drafts: list[_Draft] = []
        self.broken: list[Resource] = []
        self.written: dict[str, dict[str, Place]] = {}

    def read(self, path: str) -> None:
        """Takes in one file, if it holds resources."""
        if path.startswith(".") or "/." in path:
            return
        by_path = next((kind for kind in self.kinds.values() if kind.covers(path)), None)
        if by_path is not None:
            self._read_whole(path, by_path)
        elif path.endswith((".yaml", ".yml")):
            text = self.files[path]
            if _is_named(path) or self.ours.search(text if isinstance(text, bytes) else text.encode()):
                self._read_documents(path)

    def finish(self, commit: str) -> tuple[Catalog, list[Problem]]:
        """Validates the drafts, then what holds between them."""
        variables, resources = self._variables()
        resources += [
            made for draft in self.drafts if draft.kind.name != "Variables" and (made := self._make(draft, variables))
        ]
        catalog = Catalog(commit, resources, files=self.files, variables=variables)
        told = {problem.place for problem in self.problems}
        found = check_references([*resources, *self.broken], catalog.files, self.kinds, self.written)
        self.problems += [problem for problem in found if problem.place not in told]
        if self.event_types:
            self.problems += check_event_types([*resources, *self.broken], self.kinds, self.event_types)
        for kind in self.kinds.values():
            if kind.check is not None:
                for resource in catalog.all(kind.name):
                    self.problems += kind.check(resource, catalog)
        catalog.problems = tuple(sorted(set(self.problems)))
        return catalog, list(catalog.problems)

    def _read_whole(self, path: str, kind: Kind) -> None:
        text, body = self.files[path], ""
        if path.endswith(".md"):
            text, body, problem = _front_matter(text, path)
            self.problems += [problem] if problem else []
            if problem:
                self._write_down(kind, path, Place(path, 1, 1))
                return
        node, problems = load_document(text, path, syntax="yaml")
        self.problems += problems
        if node is None and problems:
            self._write_down(kind, path, Place(path, 1, 1))
            return
        node = node or Node({}, path)
        if node.value is None:
            node = Node({}, path, node.positions)
        metadata = Metadata.model_construct(name=path)
        self._add(_Draft(kind, path, metadata, node, body))

    def _read_documents(self, path: str) -> None:
        nodes, problems = load_documents(self.files[path], path)
        self.problems += problems
        for node in nodes:
            if node.value is not None:
                self._read_document(node)

    def _read_document(self, node: Node) -> None:
        value = node.value
        if not isinstance(value, dict) or "apiVersion" not in value or "kind" not in value:
            if _is_named(node.file) or (isinstance(value, dict) and "apiVersion" in value):
                way_out = "start it with apiVersion: and kind:"
                self.problems.append(Problem(node.place(), "the document is no resource", way_out))
            return
        kind = self._kind_of(node)
        if kind is None:
            return
        metadata, problems = validate(Metadata, value.get("metadata"), node, ("metadata",))
        if "metadata" not in value:
            problems = [Problem(node.place(), "metadata is missing", "write metadata: with a name: below it")]
        problems += self._unknown_fields(node, kind, metadata)
        if metadata is not None:
            namespace = "" if metadata.namespace == "default" else f"{metadata.namespace}/"
            self.problems += problems
            self._add(_Draft(kind, namespace + metadata.name, metadata, node, sound=not problems))
            return
        self.problems += problems
        name = value["metadata"].get("name") if isinstance(value.get("metadata"), dict) else None
        if isinstance(name, str):
            self._write_down(kind, name, node.place())
        self.drafts.append(_Draft(kind, "", Metadata.model_construct(name=""), node, sound=False))

    def _kind_of(self, node: Node) -> Kind | None:
        api_version, name = node.value["apiVersion"], node.value["kind"]
        group = str(api_version).partition("/")[0]
        enveloped = {kind.name: kind for kind in self.kinds.values() if not kind.where}
        if group not in self.groups:
            if _is_named(node.file):
                versions = sorted({kind.api_version for kind in enveloped.values()})
                way_out = meant(str(api_version), versions, what="known")
                self.problems.append(
                    Problem(node.place(("apiVersion",)), f"unknown apiVersion {shown(api_version)}", way_out)
                )
            return None
        kind = enveloped.get(name) if isinstance(name, str) else None
        if kind is None:
            same = [one.name for one in enveloped.values() if one.api_version.startswith(group)]
            problem = Problem(
                node.place(("kind",)), f"unknown kind {shown(name)}", meant(str(name), same, what=f"kinds of {group}")
            )
            self.problems.append(problem)
            return None
        accepted = (kind.api_version, *kind.also)
        if api_version not in accepted:
            message = f"{kind.name} is not of apiVersion {shown(api_version)}"
            self.problems.append(Problem(node.place(("apiVersion",)), message, f"write {accepted[0]}"))
            return None
        return kind

    def _unknown_fields(self, node: Node, kind: Kind, metadata: Metadata | None) -> list[Problem]:
        if not kind.api_version.startswith("opsroom.dev/"):
            return []
        known = sorted(field.alias or name for name, field in Metadata.model_fields.items())
        paths: list[tuple[Path, list[str]]] = [((key,), list(_ENVELOPE)) for key in node.value if key not in _ENVELOPE]
        paths += [(("metadata", key), known) for key in (metadata.model_extra or () if metadata else ())]
        return [
            Problem(node.key_place(path), f"unknown field {dotted(path)}", meant(str(path[-1]), names))
            for path, names in paths
        ]

    def _add(self, draft: _Draft) -> None:
        first = self.written.get(draft.kind.name, {}).get(draft.name)
        if first is None:
            self._write_down(draft.kind, draft.name, draft.node.place())
            self.drafts.append(draft)
            return
        place = draft.node.place(("metadata", "name"))
        message = f"{draft.kind.name} {draft.name!r} stands twice"
        self.problems.append(Problem(place, message, f"the first is at {first}; rename or remove one"))
        self.drafts.append(replace(draft, sound=False))

    def _write_down(self, kind: Kind, name: str, place: Place) -> None:
        self.written.setdefault(kind.name, {}).setdefault(name, place)

    def _variables(self) -> tuple[dict[str, Any], list[Resource]]:
        values: dict[str, Any] = {}
        resources = []
        for draft in self.drafts:
            made = self._make(draft, None) if draft.kind.name == "Variables" else None
            if made is None:
                continue
            resources.append(made)
            for name, value in made.spec.values.items():
                if name in values:
                    problem = Problem(
                        made.place_of("values", name), f"variable {name} is set twice", "keep one of the two"
                    )
                    self.problems.append(problem)
                values.setdefault(name, value)
        return values, resources

    def _make(self, draft: _Draft, variables: Mapping[str, Any] | None) -> Resource | None:
        """The resource; None where anything is wrong with it, which is then among the problems."""
        kind, node = draft.kind, draft.node
        raw, metadata, problems = node.value, draft.metadata, list[Problem]()
        if draft.enveloped:
            raw = node.value.get("spec", {})
        if draft.enveloped and variables is not None:
            raw, metadata, problems = fill_variables(raw, metadata, kind, node, variables)
        spec, faults = validate(kind.model, raw, node, draft.root)
        unfilled = {problem.place for problem in problems}
        problems += [fault for fault in faults if fault.place not in unfilled]
        made = Resource(
            kind=kind.name, name=draft.name, spec=spec, metadata=metadata, place=node.place(), node=node, raw=raw,
            enveloped=draft.enveloped, body=draft.body,
        )  # fmt: skip
        self.problems += problems
        if draft.sound and not problems:
            return made
        self.broken.append(made)
        return None


def _is_named(path: str) -> bool:
    """Whether the path says that the file holds resources."""
    return path.startswith("opsroom/") or path.rpartition("/")[2] in {"catalog-info.yaml", "catalog-info.yml"}


def _front_matter(text: str | bytes, path: str) -> tuple[str, str, Problem | None]:
    """The front matter, with its lines where they were, and the body below it."""
    try:
        whole = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    except UnicodeDecodeError:
        return "", "", Problem(Place(path), "the file is not UTF-8 text", "save it as UTF-8")
    lines = whole.splitlines(keepends=True)
    if not lines or lines[0].rstrip() != "---":
        return "", whole, None
    for number, line in enumerate(lines[1:], 1):
        if line.rstrip() == "---":
            return "\n" + "".join(lines[1:number]), "".join(lines[number + 1 :]), None
    return "", whole, Problem(Place(path, 1, 1), "the front matter does not end", "close it with a line ---")
