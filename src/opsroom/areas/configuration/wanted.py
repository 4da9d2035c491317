"""What the ops repo in force wants of each host: its targets and their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from opsroom.areas.configuration.model import Target, Wanted, state_of_bytes
from opsroom.areas.configuration.reading import FolderReader, Seen
from opsroom.kernel.resources import Catalog, Resource

if TYPE_CHECKING:
    from opsroom.areas.configuration.disk import Disk
    from opsroom.contracts.plane import Plane

_SEEN: Seen = {}
"""Shared by every reader of this process: it holds what files were, by their inode, whoever asks."""
_WANTED: WeakKeyDictionary[Catalog, dict[str, Mapping[str, Wanted]]] = WeakKeyDictionary()


def targets(plane: Plane) -> list[Target]:
    """Every Host in force, by name."""
    return [_target(plane, resource) for resource in plane.catalogs.current().all("Host")]


def target_of(plane: Plane, name: str) -> Target:
    """The Host of this name. Error: not found."""
    return _target(plane, plane.catalogs.current().get("Host", name))


def wanted_of(catalog: Catalog, target: str) -> Mapping[str, Wanted]:
    """The managed files of a host by path, as a catalog has them."""
    known = _WANTED.setdefault(catalog, {})
    if target not in known:
        host = catalog.find("Host", target)
        files = [one for one in catalog.all("ManagedFile") if host and catalog.find("Host", one.spec.host) is host]
        known[target] = {one.spec.path: _wanted(catalog, one) for one in files}
    return known[target]


def reader_of(plane: Plane, target: Target, *, disk: Disk | None = None) -> FolderReader:
    """Opens a target's folder for reading; Opsroom's own state and keys stay closed to it."""
    return FolderReader(target.folder, closed=(plane.settings.state, plane.settings.keys), seen=_SEEN, disk=disk)


def _target(plane: Plane, resource: Resource) -> Target:
    base = plane.settings.state.absolute().parent
    return Target(
        name=resource.name,
        folder=base / Path(resource.spec.folder),
        unmanaged=resource.spec.unmanaged == "report",
        labels={**resource.metadata.labels, "host": resource.name, "target": resource.name},
        place=resource.place,
    )


def _wanted(catalog: Catalog, resource: Resource) -> Wanted:
    spec, data = resource.spec, b""
    if spec.state == "present":
        data = catalog.read(spec.source) if spec.source is not None else spec.content.encode()
    state = state_of_bytes(data, spec.mode) if spec.state == "present" else None
    return Wanted(resource=resource.name, path=spec.path, state=state, data=data, place=resource.place)
