"""The frame around every page: who asks, the scope, other areas' parts, the layout, and errors as pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote

from markupsafe import Markup

from opsroom.contracts import scopes
from opsroom.contracts.facts import Answer, Question
from opsroom.contracts.formats import shas
from opsroom.contracts.pages import PageRequest, View
from opsroom.contracts.plane import Call
from opsroom.kernel.actors import Resource, csrf_token
from opsroom.kernel.errors import Forbidden, Unauthenticated, UserError
from opsroom.surfaces.web import navigation
from opsroom.surfaces.web.catalogue import Catalogue
from opsroom.surfaces.web.scope import RANGES, default_since, read_scope
from opsroom.surfaces.web.security import COOKIE, own_path
from opsroom.surfaces.web.templates import Frame, Section, Templates

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from opsroom.contracts.pages import PageDeclaration, Part, Where
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.actors import Actor
    from opsroom.surfaces.derived import Derived
    from opsroom.surfaces.web.sentences import Sentences

T = TypeVar("T")
Identify = Callable[["Request"], "Actor | None"]
TOAST = "opsroom_toast"
FIRST_EVENTS = 50
"""Among so many events recorded first lies the oldest: what they tell of may have happened before it was recorded."""


@dataclass(frozen=True, kw_only=True)
class PageCall(Call):
    """The plane as one page uses it: nothing changes while it is made, so each question is answered once."""

    _told: dict[Question[Any], Answer[Any]] = field(default_factory=dict, repr=False, compare=False)

    def ask(self, question: Question[T]) -> Answer[T]:
        if question not in self._told:
            self._told[question] = super().ask(question)
        return self._told[question]


@dataclass(kw_only=True)
class Web:
    """Everything pages are made with. `parts` are those of all areas, sorted by their order; `operations` those that are on every surface, by name."""

    plane: Plane
    identify: Identify
    sentences: Sentences
    templates: Templates
    operations: Mapping[str, Derived]
    parts: Sequence[Part]
    entries: Sequence[navigation.Entry] = field(default_factory=tuple)
    _born: datetime | None = None

    def answer(self, request: Request, page: PageDeclaration) -> Response:
        """The page for whoever asks; what goes wrong becomes a page of its own."""
        self.templates.compile_soon()
        try:
            asked = self.page_request(request)
        except UserError as error:
            return self.error(request, error)
        asked = replace(asked, call=PageCall(plane=self.plane, actor=asked.call.actor))
        try:
            return self.respond(request, asked, page.render(asked), fallback=page.title)
        except UserError as error:
            return self.error(request, error, asked)
        except Exception as bug:  # the one boundary: a bug becomes a page with the id of its log line
            return self.bug(request, bug, asked)

    def page_request(self, request: Request) -> PageRequest:
        """Who asks, for what, in which scope. Errors: Unauthenticated; Invalid for a scope that cannot be read."""
        actor = self.identify(request)
        if actor is None:
            raise Unauthenticated("nobody is signed in; `opsroom sign-in` makes a sign-in link")
        query = dict(request.query_params)
        call = Call(plane=self.plane, actor=actor)
        scope = read_scope(query, self.plane.clock.now(), self.default_since())
        return PageRequest(call=call, params=dict(request.path_params), query=query, scope=scope)

    def default_since(self) -> str:
        """The time a page is about where nobody chose one: a young installation has no hour to show yet."""
        if self._born is None:
            first = self.plane.ledger.find(limit=FIRST_EVENTS, newest_first=False)
            self._born = min((event.time for event in first), default=None)
        return default_since(self._born, self.plane.clock.now())

    def respond(
        self, request: Request, asked: PageRequest, view: View, *, fallback: str, status: int = 200
    ) -> Response:
        from starlette.responses import HTMLResponse

        frame = self.frame(request, asked)
        main = self.templates.render(view.template, view.values, frame)
        toast = _toast(request)
        html = main
        if "fragment" not in request.query_params:
            around = self._around(request, asked, view, view.title or fallback, main, toast)
            html = self.templates.render("layout.html", around, frame)
        response = HTMLResponse(html if view.values.get("reveals") else self.plane.secrets.redact(html), status)
        if toast and html is not main:
            response.delete_cookie(TOAST)
        return response

    def frame(self, request: Request, asked: PageRequest) -> Frame:
        frame = Frame(
            request=asked,
            path=request.url.path,
            nonce=request.state.nonce,
            csrf=csrf_token(request.cookies.get(COOKIE, "")),
            now=self.plane.clock.now(),
            collect=lambda where, **params: self.collect(where, replace(asked, params=params), frame),
            one=lambda part, **params: self._one(part, replace(asked, params=params), frame),
            may=lambda name, arguments: self.refusal(asked.call, name, arguments),
        )
        return frame

    def collect(self, where: Where, asked: PageRequest, frame: Frame) -> list[Section]:
        """The parts that have something to show. One that fails says so in its place; the others stand."""
        rendered = (self._part(part, asked, frame) for part in self.parts if part.where == where)
        return [section for section in rendered if section is not None]

    def refusal(self, call: Call, name: str, arguments: Mapping[str, Any]) -> str:
        """Why this actor may not run an operation; "" where they may. What is asked here is asked again when it runs."""
        derived = self.operations.get(name)
        if derived is None:
            return f"there is no operation {name}"
        try:
            scopes.require(call, derived.operation, arguments)
        except KeyError:  # its scope needs an argument the form has yet to ask for
            return self._nowhere(call, derived)
        except UserError as error:
            return str(error)
        return ""

    def _nowhere(self, call: Call, derived: Derived) -> str:
        try:
            self.plane.actors.require_somewhere(
                call.actor, derived.operation.needs, Resource(kind=derived.operation.noun)
            )
        except UserError as error:
            return str(error)
        return ""

    def error(self, request: Request, error: UserError, asked: PageRequest | None = None) -> Response:
        from starlette.responses import RedirectResponse

        asked = asked or self._asked_anyway(request)
        if asked is None:
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/sign-in?next={quote(target, safe='')}", 303)
        values = {"status": error.status, "title": error.title, "message": str(error), "id": ""}
        return self.respond(
            request, asked, View(template="error.html", values=values), fallback=error.title, status=error.status
        )

    def bug(self, request: Request, bug: Exception, asked: PageRequest) -> Response:
        values = {"status": 500, "title": "Something broke", "message": "", "id": self._log(bug, request.url.path)}
        view = View(template="error.html", values=values)
        return self.respond(request, asked, view, fallback="Something broke", status=500)

    def _part(self, part: Part, asked: PageRequest, frame: Frame) -> Section | None:
        try:
            view = part.render(asked)
            if view is None:
                return None
            html = self.templates.render(view.template, view.values, replace(frame, request=asked))
            return Section(part=part, html=html, wide=bool(view.values.get("wide")))
        except Forbidden:  # what is not theirs to see is not on their pages
            return None
        except UserError as error:
            reason = str(error)
        except Exception as bug:  # a part of one area must not take another area's page down
            reason = f"this part failed; the log has it as {self._log(bug, part.title)}"
        tag = (
            "li"
            if part.where.startswith(("overview.", "search"))
            else "span"
            if part.where == "services.column"
            else "p"
        )
        failed = {"part": part, "reason": reason, "tag": tag}
        return Section(part=part, html=self.templates.render("part_failed.html", failed, frame))

    def _one(self, part: Part, asked: PageRequest, frame: Frame) -> Markup:
        section = self._part(part, asked, frame)
        return section.html if section else Markup("")

    def _log(self, bug: Exception, where: str) -> str:
        id = self.plane.clock.new_id("err")
        self.plane.journal.error("a page failed", bug=bug, id=id, where=where)
        return id

    def _asked_anyway(self, request: Request) -> PageRequest | None:
        """For error pages: the request without its scope, which may be what is wrong."""
        try:
            actor = self.identify(request)
        except UserError:
            actor = None
        if actor is None:
            return None
        call = Call(plane=self.plane, actor=actor)
        return PageRequest(
            call=call, params={}, query={}, scope=read_scope({}, self.plane.clock.now(), self.default_since())
        )

    def _around(
        self, request: Request, asked: PageRequest, view: View, title: str, main: Markup, toast: Mapping[str, str]
    ) -> dict[str, Any]:
        catalogue = Catalogue(self.plane)
        current = navigation.current(self.entries, request.url.path)
        return {
            "title": shas(title),
            "main": main,
            "view": view,
            "entries": self.entries,
            "menu": navigation.grouped(self.entries, current),
            "current": current,
            "default_since": self.default_since(),
            "crumbs": navigation.crumbs(self.entries, request.url.path, shas(title)),
            "ranges": RANGES,
            "environments": catalogue.environments(),
            "services": catalogue.services(),
            "teams": catalogue.teams(),
            "commit": catalogue.commit(),
            "base_url": str(request.base_url).rstrip("/"),
            "toast": toast,
        }


def set_toast(response: Response, state: str, text: str, href: str = "") -> None:
    """Shows one line on the next page: what was done, or why it was not."""
    value = quote(json.dumps({"state": state, "text": text[:400], "href": href}), safe="")
    response.set_cookie(TOAST, value, max_age=30, httponly=True, samesite="lax")


def _toast(request: Request) -> dict[str, str]:
    try:
        told = json.loads(unquote(request.cookies.get(TOAST, "")))
        href = str(told["href"])
        return {"state": str(told["state"]), "text": str(told["text"]), "href": own_path(href) if href else ""}
    except (ValueError, KeyError, TypeError):
        return {}
