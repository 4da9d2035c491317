"""Events as sentences: what a person would say, from the sentence its type declares."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from opsroom.contracts.events import EventType
from opsroom.contracts.formats import written
from opsroom.kernel import actors, secrets, waivers
from opsroom.kernel.ledger import Event

if TYPE_CHECKING:
    from opsroom.contracts.area import Area

_LEDGER = (("event.erased", "payload of event {event} erased: {reason}"),)
KERNEL_EVENTS: tuple[EventType, ...] = tuple(
    EventType(name=name, sentence=sentence)
    for name, sentence in (*actors.EVENTS, *secrets.EVENTS, *waivers.EVENTS, *_LEDGER)
)


def event_types(areas: Iterable[Area]) -> list[str]:
    """The names of every type of event there is: the kernel's and those of these areas."""
    return [declared.name for declared in (*KERNEL_EVENTS, *(one for area in areas for one in area.events))]


class Sentences:
    """Tells events of all declared types; the kernel's are known."""

    def __init__(self, types: Iterable[EventType] = ()) -> None:
        self._types = {declared.name: declared for declared in (*KERNEL_EVENTS, *types)}

    def type_of(self, name: str) -> EventType | None:
        """The declared type, or None for one nobody declares (any more)."""
        return self._types.get(name)

    def tell(self, event: Event) -> str:
        """The sentence of its type over its data and subjects by kind; ids and commits are shortened, a value that is not there reads as "…"."""
        declared = self._types.get(event.type)
        if declared is None:
            return " ".join((event.type, *event.subjects))
        values = {subject.partition(":")[0]: subject.partition(":")[2] for subject in reversed(event.subjects)}
        values |= {key: value for key, value in event.data.items() if not isinstance(value, Mapping | list)}
        told = _TOLERANT.vformat(declared.sentence, (), {"actor": event.actor, **values})
        return told.replace("\u00a0", " ")


class _Tolerant(string.Formatter):
    def get_value(self, key: int | str, args: Any, kwargs: Mapping[str, Any]) -> Any:
        value = kwargs.get(str(key))
        return "…" if value is None or value == "" else value

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        return self.get_value(field_name, args, kwargs), field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        return written(value, format_spec)


_TOLERANT = _Tolerant()
