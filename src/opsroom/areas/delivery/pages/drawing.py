"""What the pages of delivery draw: nodes of a job graph, and Markdown that a job wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A box of a graph, as `ui.job_graph` draws it; `needs` are ids of the boxes before it."""

    id: str
    name: str
    needs: tuple[str, ...] = ()
    state: str = "unknown"
    seconds: float | None = None
    href: str = ""
    note: str = ""


def state_of(status: str, conclusion: str) -> str:
    """The word for a badge: how it ended, or where it stands."""
    return conclusion or {"requested": "queued", "pending": "queued"}.get(status, status)


def markdown(text: str) -> Markup:
    """Markdown as HTML: what a job wrote may format, link and draw tables, and hold no HTML of its own."""
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return Markup(html)  # noqa: S704 - rendered without HTML from the text
