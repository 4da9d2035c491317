"""Every operation as a page: the list the command palette reads, the form made from a signature, and the run of it."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, RedirectResponse

from opsroom.contracts import scopes
from opsroom.contracts.formats import NOTHING, clock_time, plural
from opsroom.contracts.operations import Model, Started
from opsroom.contracts.pages import PageDeclaration, PageRequest, View
from opsroom.kernel.clock import parse_stamp
from opsroom.kernel.errors import NotFound, Problems, UserError
from opsroom.surfaces.web.fields import arguments_of, fields_of
from opsroom.surfaces.web.frame import Web, set_toast
from opsroom.surfaces.web.security import CSRF_FIELD, check_csrf, own_path, read_form

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from opsroom.surfaces.derived import Derived

BACK_FIELD = "_back"
_SAID_IN_TOAST = 200
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_ERRORS = re.compile(r"\s*\bErrors?: (?:.|\n(?!\n))*")
"""What a docstring says about errors; a form says it when it happens."""


class VerbPages:
    """`/verbs` as JSON, and for each operation `/verbs/NOUN.VERB`: GET shows its form (or, where it reads and needs nothing, its
    answer), POST runs it as the person signed in."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self.page = PageDeclaration(path="/verbs/{name}", title="Verb", render=self._form)

    async def listing(self, request: Request) -> Response:
        """`{"verbs": [{name, summary, needs, reads, href}], "pages": [{words, path, key}], "actor"}`, for Ctrl-K."""
        try:
            asked = await run_in_threadpool(self._web.page_request, request)
        except UserError as error:
            return JSONResponse({"title": error.title, "detail": str(error)}, error.status)
        operations = [derived.operation for derived in self._web.operations.values()]
        verbs = [
            {
                "name": one.name,
                "summary": one.summary,
                "needs": one.needs,
                "reads": one.reads,
                "href": f"/verbs/{one.name}",
            }
            for one in operations
        ]
        pages = [{"words": one.words, "path": one.path, "key": one.key} for one in self._web.entries]
        return JSONResponse({"verbs": verbs, "pages": pages, "actor": asked.call.actor.id})

    async def run(self, request: Request) -> Response:
        try:
            form = await read_form(request)
        except UserError as error:
            return await run_in_threadpool(self._web.error, request, error)
        return await run_in_threadpool(self._run, request, form)

    def _run(self, request: Request, form: dict[str, list[str]]) -> Response:
        flat = {name: values[-1] for name, values in form.items()}
        back = own_path(flat[BACK_FIELD]) if flat.get(BACK_FIELD) else ""
        try:
            asked = self._web.page_request(request)
            check_csrf(request, flat)
            derived = self._derived(asked.params["name"])
            result = self._perform(asked, derived, {k: v for k, v in form.items() if k not in {CSRF_FIELD, BACK_FIELD}})
        except UserError as error:
            return self._refused(request, error, back, flat)
        except Exception as bug:  # the same boundary as for pages
            return self._web.bug(request, bug, self._web.page_request(request))
        if back:
            response = RedirectResponse(back, 303)
            set_toast(response, "ok", f"{derived.operation.name}: {_brief(result)}", self._progress_page(result))
            return response
        return self._web.respond(request, asked, self._result_view(derived, result), fallback=derived.operation.name)

    def _perform(self, asked: PageRequest, derived: Derived, form: Mapping[str, list[str]]) -> Any:
        arguments = arguments_of(derived, form)
        if not derived.operation.reads:  # what reads asks for itself
            scopes.require(asked.call, derived.operation, arguments)
        positional = [arguments.pop("id")] if derived.has_id else []
        return derived.operation.function(asked.call, *positional, **arguments)

    def _form(self, asked: PageRequest) -> View:
        derived = self._derived(asked.params["name"])
        if derived.operation.reads and not derived.has_id and "again" not in asked.query and _all_optional(derived):
            return self._result_view(derived, self._perform(asked, derived, {}))
        return _form_view(derived, fields_of(derived, asked.query), "")

    def _refused(self, request: Request, error: UserError, back: str, form: dict[str, str]) -> Response:
        if back:
            response = RedirectResponse(back, 303)
            set_toast(response, "failed", str(error))
            return response
        derived = self._web.operations.get(request.path_params.get("name", ""))
        if derived is None or error.status in {401, 403}:
            return self._web.error(request, error)
        lines = [str(one) for one in error.problems] if isinstance(error, Problems) else [str(error)]
        asked = self._web.page_request(request)
        view = _form_view(derived, fields_of(derived, form), "\n".join(lines))
        return self._web.respond(request, asked, view, fallback=derived.operation.name, status=error.status)

    def _derived(self, name: str) -> Derived:
        derived = self._web.operations.get(name)
        if derived is None:
            raise NotFound(f"there is no verb {name!r} here; Ctrl-K lists them all")
        return derived

    def _result_view(self, derived: Derived, result: Any) -> View:
        reveals = isinstance(result, Model) and bool(result.reveals)
        plain = as_plain(result)
        text = json.dumps(plain, indent=2, ensure_ascii=False)
        values = {
            "operation": derived.operation, "rows": [{key: _cell(value) for key, value in row.items()} for row in _rows(plain)], "fields": bool(derived.parameters or derived.has_id),
            "text": text if reveals else self._web.plane.secrets.redact(text), "reveals": reveals,
        }  # fmt: skip
        return View(template="pages/verb_result.html", values=values, title=derived.operation.name)

    def _progress_page(self, result: Any) -> str:
        if not isinstance(result, Started):
            return ""
        return self._web.sentences.subject_url(f"{result.noun.removesuffix('s')}:{result.id}")


def _form_view(derived: Derived, fields: list[Any], error: str) -> View:
    about = _ERRORS.sub("", inspect.cleandoc(derived.operation.function.__doc__ or ""))
    values = {"operation": derived.operation, "fields": fields, "about": about, "error": error}
    return View(template="pages/verb.html", values=values, title=derived.operation.name)


def _all_optional(derived: Derived) -> bool:
    return not any(parameter.required for parameter in derived.parameters)


def as_plain(value: Any) -> Any:
    """A result as JSON values: models as objects, times as RFC 3339."""
    from pydantic import TypeAdapter

    return TypeAdapter(Any).dump_python(value, mode="json", serialize_as_any=True)


def _rows(plain: Any) -> list[dict[str, Any]]:
    """A list of objects, or a page of them, as rows of a table; one object as a list of one."""
    if isinstance(plain, dict) and isinstance(plain.get("items"), list):
        plain = plain["items"]
    found = plain if isinstance(plain, list) else [plain]
    return [row for row in found if isinstance(row, dict)]


def _cell(value: Any) -> str:
    """A JSON value as a person reads it in a table; what is nested is only counted, the JSON below has it."""
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        nested = any(isinstance(one, dict | list) for one in value)
        return plural(len(value), "item") if nested else ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_cell(one)}" for key, one in value.items())
    return f"{value:,}" if isinstance(value, int) else _moment(str(value))


def _moment(text: str) -> str:
    return clock_time(parse_stamp(text)) if _STAMP.fullmatch(text) else text


def _brief(result: Any) -> str:
    plain = as_plain(result)
    if isinstance(plain, dict):
        told = [f"{key} {plain[key]}" for key in ("id", "state", "status", "name") if plain.get(key)]
        return ", ".join(told)[:_SAID_IN_TOAST] or "done"
    if isinstance(plain, list):
        return f"{len(plain)} found"
    return "done" if plain is None else str(plain)[:_SAID_IN_TOAST]
