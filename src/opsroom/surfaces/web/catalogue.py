"""What the frame asks the ops repo's catalog: the names to choose a scope from, who needs whom, and the commit in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.errors import Place


class Catalogue:
    """The catalog in force, as pages need it. Before the first good commit it is empty."""

    def __init__(self, plane: Plane) -> None:
        self._catalog = plane.catalogs.current()

    def services(self) -> list[str]:
        return self._names("Component")

    def environments(self) -> list[str]:
        return self._names("Environment")

    def teams(self) -> list[str]:
        return self._names("Group")

    def commit(self) -> str:
        return self._catalog.commit

    def about(self, service: str) -> str:
        """What the catalog says of a service, in its own words."""
        return str(self._catalog.get("Component", service).metadata.description)

    def place(self, service: str) -> Place:
        """Where the service is written."""
        return self._catalog.get("Component", service).place

    def depends_on(self, service: str) -> tuple[str, ...]:
        return self._catalog.graph().dependencies(service, transitive=False)

    def used_by(self, service: str) -> tuple[str, ...]:
        return self._catalog.graph().dependents(service, transitive=False)

    def diagram(self, services: Sequence[str]) -> str:
        """Who needs whom among these, in Mermaid; "" where nobody needs anybody."""
        ids = {name: f"s{index}" for index, name in enumerate(services)}
        needs = [(ids[name], ids[one]) for name in services for one in self.depends_on(name) if one in ids]
        if not needs:
            return ""
        boxes = [f'  {id}["{name}"]' for name, id in ids.items()]
        return "\n".join(["flowchart LR", *boxes, *(f"  {source} --> {target}" for source, target in needs)])

    def _names(self, kind: str) -> list[str]:
        return [resource.name for resource in self._catalog.all(kind)]
