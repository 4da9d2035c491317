"""Tables that can be read on a phone: each cell carries its column's heading, so that a narrow row can stand as lines."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

FEW = 2
"""A table with so few columns that are never hidden fits a phone as it is."""

_HEAD = re.compile(r"<thead>(.*?)</thead>", re.DOTALL)
_HEADING = re.compile(r"<th\b([^>]*)>(.*?)</th>", re.DOTALL)
_HIDDEN = re.compile(r'<(\w+)[^>]*(?:\baria-hidden="true"|\bclass="unseen")[^>]*>.*?</\1>', re.DOTALL)
_CELL = re.compile(r"<(tr|td|th)\b")


def stacking(html: str) -> Markup:
    """The HTML of one table, whose first row of headings names the columns, with `data-label` on each cell of its body; a table
    of more than two columns that stay gets the class `stacks`."""
    html = str(html)  # of Markup, every piece put in would be escaped
    head = _HEAD.search(html)
    if head is None:
        return Markup(html)  # noqa: S704 - as it was rendered, with autoescape on
    found = _HEADING.findall(head[1])
    labels = [escape(Markup(_HIDDEN.sub("", inner)).striptags()) for _, inner in found]  # noqa: S704
    at = -1

    def label(cell: re.Match[str]) -> str:
        nonlocal at
        at = -1 if cell[1] == "tr" else at + 1
        named = 0 <= at < len(labels) and labels[at]
        return f'{cell[0]} data-label="{labels[at]}"' if named else cell[0]

    before, after = html[: head.end()], _CELL.sub(label, html[head.end() :])
    if sum(not _is_low(attributes) for attributes, _ in found) > FEW:
        before = before.replace("<table>", '<table class="stacks">', 1)
    return Markup(before + after)  # noqa: S704


def _is_low(attributes: str) -> bool:
    return bool(re.search(r'class="[^"]*\blow\b', attributes))
