"""The Jinja environment: where templates are found, and what every template can use.

Templates of the areas are `areas/NAME/templates/page.html` or `areas/NAME/templates/NAME/page.html`, and are called
`NAME/page.html`. Every macro of `parts/` is at hand as `ui.NAME`, without an import. What is true of this one answer (who
asks, which scope, which nonce) is `frame`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup, escape

from opsroom.contracts import formats
from opsroom.kernel.clock import stamp
from opsroom.surfaces.web import assets, parts
from opsroom.surfaces.web.diffs import diff_of, parse_diff
from opsroom.surfaces.web.fields import fields_of_inputs
from opsroom.surfaces.web.graph import layout
from opsroom.surfaces.web.logs import failing_line, log_rows
from opsroom.surfaces.web.scope import scope_query, with_query
from opsroom.surfaces.web.sentences import Sentences, subject_text
from opsroom.surfaces.web.stacking import stacking

if TYPE_CHECKING:
    from jinja2.bccache import Bucket

    from opsroom.contracts.pages import PageRequest, Part

HERE = Path(__file__).parent / "templates"
MACROS = ("states", "values", "events", "tables", "charts", "logs", "forms", "structure")


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one part gave. `wide`: it asked for the whole width, by a value `wide` of its view."""

    part: Part
    html: Markup
    wide: bool = False


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One answer: the request as pages see it, its address, and what forms and scripts need. `collect` and `one` render what areas
    add to this page, `may` says why the person may not run an operation."""

    request: PageRequest
    path: str
    nonce: str
    csrf: str
    now: datetime
    collect: Callable[..., list[Section]]
    one: Callable[..., Markup]
    may: Callable[[str, Mapping[str, str]], str]

    @property
    def here(self) -> str:
        """This page's own address, with its whole query."""
        return with_query(self.path, self.request.query)


_TICKS = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"<h([1-6])\b")
_HEADINGS = re.compile(r"(</?h)([1-6])([\s>])")


class _Compiled(jinja2.BytecodeCache):
    """Compiled templates of this process, for every environment made in it."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}
        self.all_asked = threading.Event()

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()
_frame: ContextVar[Frame] = ContextVar("frame")


class Templates:
    """Renders templates; `folders` maps a prefix to the folder of its templates, or the one above it."""

    def __init__(self, sentences: Sentences, folders: Mapping[str, Path]) -> None:
        loaders = {name: jinja2.FileSystemLoader([folder / name, folder]) for name, folder in folders.items()}
        self.environment = jinja2.Environment(
            loader=jinja2.ChoiceLoader([jinja2.FileSystemLoader(HERE), jinja2.PrefixLoader(loaders)]),
            autoescape=True,
            bytecode_cache=_COMPILED,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.filters.update(
            number=formats.number,
            share=formats.share,
            duration=formats.duration,
            size=formats.size,
            money=formats.money,
            short=formats.short,
            shas=formats.shas,
            below=_below,
            clock_time=formats.clock_time,
            person=formats.person,
            subject_text=subject_text,
            stamp=stamp,
            stacking=stacking,
            ticked=_ticked,
        )
        macros = SimpleNamespace()
        self.environment.globals.update(
            ui=macros,
            parts=parts,
            static=assets.address,
            plural=formats.plural,
            link=_link,
            here=_here,
            ago=_ago,
            sentence=sentences.linked,
            sentence_text=sentences.plain,
            shape=sentences.shape,
            subject_url=lambda subject: _link(sentences.subject_url(subject)),
            is_change=sentences.is_change,
            others=self._others,
            collect=lambda where, **params: _frame.get().collect(where, **params),
            cell=lambda part, **params: _frame.get().one(part, **params),
            query=lambda name, default="": _frame.get().request.query.get(name, default),
            path=lambda: _frame.get().path,
            graph=layout,
            log_rows=log_rows,
            failing_line=failing_line,
            diff_of=diff_of,
            parse_diff=parse_diff,
            fields_of_inputs=fields_of_inputs,
            csrf=_csrf,
            refusal=_refusal,
        )
        for name in MACROS:
            module = self.environment.get_template(f"parts/{name}.html").module
            for macro, value in vars(module).items():
                if isinstance(value, jinja2.runtime.Macro):
                    setattr(macros, macro, value)

    def compile_soon(self) -> None:
        """Compiles every template beside the first page, once in a process, so that no later page waits for its own."""
        if not _COMPILED.all_asked.is_set():
            _COMPILED.all_asked.set()
            threading.Thread(target=self._compile_all, name="web-templates", daemon=True).start()

    def _compile_all(self) -> None:
        for name in self.environment.list_templates(extensions=["html"]):
            self.environment.get_template(name)

    def render(self, template: str, values: Mapping[str, Any], frame: Frame) -> Markup:
        """The template's HTML. Values named as a global hide it, so pages do not use `ui`, `link`, `parts`, `frame`."""
        with _framed(frame):
            html = self.environment.get_template(template).render(**values, frame=frame)
        return Markup(html)  # noqa: S704 - rendered with autoescape on

    def _others(self, where: str, **params: str) -> Markup:
        """What other areas add to this page, each under its title: `{{ others("run", id=run.id) }}`."""
        sections = _frame.get().collect(where, **params)
        return Markup(self.environment.get_template("sections.html").render(sections=sections))  # noqa: S704

    def bare(self, template: str, values: Mapping[str, Any]) -> str:
        """A template outside of any frame: the sign-in page, which nobody has signed in to see."""
        return self.environment.get_template(template).render(**values)


@contextmanager
def _framed(frame: Frame) -> Iterator[None]:
    token = _frame.set(frame)
    try:
        yield
    finally:
        _frame.reset(token)


def _link(path: str, **query: object) -> str:
    """A page's address that carries the scope: `link("/changes", type="run.finished")`. `environment=""` drops a scope key."""
    if not path.startswith("/") or path.startswith("//"):
        return path
    return with_query(path, scope_query(_frame.get().request.query), query)


def _here(**query: object) -> str:
    """This page again with some of its query changed: `here(sort="-seconds")`."""
    frame = _frame.get()
    return with_query(frame.path, frame.request.query, query)


def _below(html: str, level: int = 3) -> Markup:
    """A text's HTML, such as a runbook's, with its headings moved to stand below those of the page: the highest becomes `level`."""
    found = [int(number) for number in _HEADING.findall(html)]
    shift = level - min(found, default=level)
    moved = _HEADINGS.sub(lambda tag: f"{tag[1]}{min(6, int(tag[2]) + shift)}{tag[3]}", html)
    return Markup(moved)  # noqa: S704 - only the level of headings has changed


def _ticked(text: str) -> Markup:
    """Text with what stands in backticks as code."""
    return Markup(_TICKS.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def _ago(moment: datetime | None) -> str:
    return formats.ago(moment, _frame.get().now)


def _csrf() -> Markup:
    """The hidden field every form that posts needs."""
    return Markup('<input type="hidden" name="_csrf" value="{}">').format(_frame.get().csrf)


def _refusal(operation: str, id: str = "", values: Mapping[str, str] | None = None) -> str:
    """Why the person may not run this operation; "" where they may."""
    return _frame.get().may(operation, {**({"id": id} if id else {}), **(values or {})})
