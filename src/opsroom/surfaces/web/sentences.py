"""Events as sentences a person would say, and where the things they are about live in the pages."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup, escape

from opsroom.contracts.formats import bound, person, short, written

if TYPE_CHECKING:
    from opsroom.contracts.events import EventType
    from opsroom.kernel.ledger import Event

PAGE_OF = {
    "service": "/services/{id}",
    "run": "/runs/{id}",
    "incident": "/incidents/{id}",
    "deployment": "/deployments/{id}",
    "team": "/teams/{id}",
    "repository": "/repositories/{id}",
    "alert": "/alerts/{id}",
    "environment": "/environments/{id}",
}
"""The page of each kind of subject; where no area declares it, a subject opens the changes about it."""

SHAPES = {
    "deployment": "triangle",
    "service": "triangle",
    "change": "circle",
    "catalog": "circle",
    "configuration": "diamond",
    "drift": "diamond",
    "incident": "square",
    "alert": "square",
    "rules": "diamond",
    "loadtest": "hexagon",
    "traffic": "hexagon",
    "runbook": "cross",
    "task": "cross",
}
"""The shape of a change mark by the noun of its event type; the rest are circles."""


class Sentences:
    """Writes events out by the sentences of their types, and links the subjects in them."""

    def __init__(self, types: Iterable[EventType], paths: Iterable[str]) -> None:
        self._types = {declared.name: declared for declared in types}
        known = set(paths)
        self._pages = {kind: path for kind, path in PAGE_OF.items() if _shape(path) in {_shape(one) for one in known}}

    def plain(self, event: Event) -> str:
        """The sentence as text."""
        return self.linked(event).striptags()

    def linked(self, event: Event) -> Markup:
        """The sentence as HTML, every value escaped, with a link on each subject that has a page of its own."""
        declared = self._types.get(event.type)
        if declared is None:
            return escape(_unwritten(event))
        filled = _Linked(self, event).vformat(str(escape(declared.sentence)), (), _values(event))
        return Markup(bound(filled.strip()))  # noqa: S704 - every value went through `escape`

    def is_change(self, type: str) -> bool:
        declared = self._types.get(type)
        return declared is not None and declared.change

    def changes(self) -> tuple[str, ...]:
        """The names of the types that can be the cause of trouble."""
        return tuple(name for name, declared in self._types.items() if declared.change)

    def types(self) -> tuple[str, ...]:
        return tuple(sorted(self._types))

    def shape(self, type: str) -> str:
        return SHAPES.get(type.partition(".")[0], "circle")

    def subject_url(self, subject: str) -> str:
        """The page of `kind:value`, or the changes about it."""
        kind, _, value = subject.partition(":")
        if kind in self._pages:
            return self._pages[kind].replace("{id}", quote(value, safe=""))
        return f"/changes?subject={quote(subject, safe='')}"

    def has_page(self, subject: str) -> bool:
        return subject.partition(":")[0] in self._pages


def subject_text(subject: str) -> str:
    """`service:storefront` -> `storefront`; commits and digests shortened; an id keeps its kind: `run 3f2a1c`."""
    kind, _, value = subject.partition(":")
    return f"{kind} {short(value)}" if kind in {"commit", "digest"} else short(value)


class _Linked(string.Formatter):
    """Fills a sentence in; a value that is not there reads as "…"."""

    def __init__(self, sentences: Sentences, event: Event) -> None:
        self._sentences = sentences
        self._event = event

    def get_value(self, key: int | str, args: Any, kwargs: Mapping[str, Any]) -> Any:
        value = kwargs.get(str(key))
        return "…" if value is None or value == "" else value

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        value = self.get_value(field_name, args, kwargs)
        subject = next((one for one in self._event.subjects if one == f"{field_name}:{value}"), "")
        return _Subject(subject, value) if subject and self._sentences.has_page(subject) else value, field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, _Subject):
            url = self._sentences.subject_url(value.subject)
            return f'<a href="{escape(url)}">{escape(written(value.value, format_spec))}</a>'
        return str(escape(written(value, format_spec)))


class _Subject:
    def __init__(self, subject: str, value: Any) -> None:
        self.subject = subject
        self.value = value


def _values(event: Event) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for subject in event.subjects:
        kind, _, value = subject.partition(":")
        values.setdefault(kind, value)
    told = {key: value for key, value in event.data.items() if not isinstance(value, Mapping | list)}
    return {"actor": person(event.actor), **values, **told}


def _unwritten(event: Event) -> str:
    about = ", ".join(subject_text(subject) for subject in event.subjects)
    said = event.type.replace(".", " ").replace("_", " ")
    return f"{said}: {about}" if about else said


def _shape(path: str) -> str:
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
