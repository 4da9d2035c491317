"""Log lines as the viewer shows them: numbered, coloured, folded into groups, the failing line known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from markupsafe import Markup

from opsroom.surfaces.web.ansi import PLAIN, to_html, to_text

if TYPE_CHECKING:
    from opsroom.workflows.protocol import LogLine

_LEVELS = {
    "err": "err",
    "warning": "warning",
    "error": "error",
    "notice": "notice",
    "debug": "debug",
    "command": "command",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line. `kind` is out, err, command, notice, warning, error, debug or group; `depth` how many groups it stands in;
    `group` the number of the line that opens the innermost ("" outside)."""

    number: int
    at: str
    kind: str
    html: Markup
    text: str
    depth: int = 0
    group: str = ""
    folded: bool = False


def log_rows(lines: Iterable[LogLine], *, first: int = 1) -> list[Row]:
    """Rows of consecutive lines, the first of them numbered `first`. Groups without an error inside are folded."""
    rows: list[Row] = []
    open_groups: list[int] = []
    style, step = PLAIN, None
    for number, line in enumerate(lines, first):
        if line.step != step:
            style, step, open_groups = PLAIN, line.step, []
        if line.stream == "endgroup":
            if open_groups:
                open_groups.pop()
            continue
        html, style = to_html(line.text, style)
        kind = "group" if line.stream == "group" else _LEVELS.get(line.stream, "out")
        parent = str(open_groups[-1]) if open_groups else ""
        rows.append(
            Row(
                number=number, at=line.at, kind=kind, html=html, text=to_text(line.text), depth=len(open_groups),
                group=parent, folded=kind == "group",
            )
        )  # fmt: skip
        if kind == "group":
            open_groups.append(number)
    return _unfold_errors(rows)


def failing_line(rows: Sequence[Row]) -> int:
    """The number of the line to look at first: the first error, else the last line on stderr, else 0."""
    error = next((row.number for row in rows if row.kind == "error"), 0)
    return error or next((row.number for row in reversed(rows) if row.kind == "err"), 0)


def _unfold_errors(rows: list[Row]) -> list[Row]:
    parents = {str(row.number): row.group for row in rows if row.kind == "group"}
    unfold: set[str] = set()
    for row in rows:
        group = row.group if row.kind == "error" else ""
        while group and group not in unfold:
            unfold.add(group)
            group = parents.get(group, "")
    return [replace(row, folded=False) if row.folded and str(row.number) in unfold else row for row in rows]
