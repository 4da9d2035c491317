"""The areas on every surface: what each promises, its nouns, and the events it may record."""

from __future__ import annotations

from opsroom.contracts.operations import Model, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import Shared


class AreaView(Model):
    """One area as it declares itself."""

    name: str
    promise: str
    nouns: list[str]
    events: list[str]


@operation("areas.list", scope=Shared("what the product is made of"))
def areas_list(call: Call) -> list[AreaView]:
    """The areas of this plane, in their order."""
    return [
        AreaView(name=area.name, promise=area.promise, nouns=list(area.nouns), events=[one.name for one in area.events])
        for area in call.plane.areas
    ]
