"""Pages and parts of pages as areas declare them; the web surface frames them, routes them and checks who may see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call
    from opsroom.kernel.errors import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What every page obeys, held in the URL: `?since=1h&until=…&environment=…&service=…&team=…`. Empty: all."""

    since: datetime
    until: datetime
    environment: str = ""
    service: str = ""
    team: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """A page asked for: path parameters, query, and the scope."""

    call: Call
    params: Mapping[str, str]
    query: Mapping[str, str]
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What to draw: a template (found under the areas' `templates/AREA/`) and its values. `code`: the file and line that decided this
    page ("As code"); `api`: the request that gives the same ("/api/v1/…"). `live`: event-type prefixes upon which the page refreshes itself."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    code: Place | None = None
    api: str = ""
    live: tuple[str, ...] = ()


Render = Callable[[PageRequest], View]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageDeclaration:
    """A page. `path` such as "/incidents/{id}". `nav`: its words in the menu ("" : not in it). `key`: the letter after `g`."""

    path: str
    title: str
    render: Render
    nav: str = ""
    key: str = ""


Where = Literal[
    "overview.wrong", "overview.waiting", "service", "services.column", "run", "deployment", "incident", "search"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece an area adds to a page of another: rendered with `params` of that page ({"service": name} on a service page, {"id": …} on a
    run, deployment or incident). `order` sorts parts; `render` may return None for nothing to show. For "overview.*" and
    "services.column" and "search" the template is a fragment (rows, a cell)."""

    where: Where
    title: str
    order: int
    render: Callable[[PageRequest], View | None]
