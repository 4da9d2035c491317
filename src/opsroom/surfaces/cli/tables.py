"""Answers for people: aligned plain text, times of this place, colour only on a terminal; or JSON as it came."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import click

from opsroom.kernel.clock import parse_stamp
from opsroom.surfaces.derived import Derived

GOOD = frozenset({"success", "ok", "healthy", "passed", "running", "active", "true", "yes"})
BAD = frozenset({"failure", "failed", "error", "critical", "firing", "false", "expired", "revoked", "unhealthy"})
_WIDEST = 60


def show(answer: Any, derived: Derived, *, as_json: bool) -> None:
    """Prints an answer; what more there is, and how to get it, goes to standard error."""
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    if answer is None:
        click.echo("done")
    elif derived.starts:
        click.echo(
            f"started {answer['noun']} {answer['id']}; follow it with: opsroom {answer['noun']} show {answer['id']}"
        )
    elif derived.paged:
        _table(answer["items"], _columns(derived))
        if answer["next"]:
            click.echo(f"there is more: --after {answer['next']}", err=True)
    elif isinstance(answer, list):
        _table(answer, _columns(derived))
    else:
        _record(answer)


def of_place(text: str) -> str:
    """A time as this place's clock shows it, to the second; any other text as it is."""
    if len(text) < 20 or text[4] != "-" or text[10] != "T":
        return text
    try:
        return parse_stamp(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return text


def lines_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = (), *, width: int = 0) -> list[str]:
    """A table as lines: columns that are empty everywhere are left out, numbers are aligned to the right. `width` 0: no limit."""
    names = list(columns) or list(dict.fromkeys(name for row in rows for name in row))
    cells = {name: [_cell(row.get(name)) for row in rows] for name in names}
    names = [name for name in names if any(cells[name])]
    numeric = {name for name in names if all(isinstance(row.get(name), int | float | None) for row in rows)}
    sizes = {name: max(len(name), *(len(cell) for cell in cells[name])) for name in names}
    if width:
        _narrow(sizes, width)
    lines = ["  ".join(_fit(name.replace("_", " "), sizes[name], name in numeric) for name in names)]
    lines += [
        "  ".join(_fit(cells[name][at], sizes[name], name in numeric) for name in names) for at in range(len(rows))
    ]
    return [line.rstrip() for line in lines]


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    if not rows:
        click.echo("none", err=True)
        return
    terminal = sys.stdout.isatty()
    head, *body = lines_of(rows, columns, width=shutil.get_terminal_size().columns if terminal else 0)
    click.echo(click.style(head, bold=True) if terminal else head)
    for line in body:
        click.echo(_coloured(line) if terminal else line)


def _record(answer: Mapping[str, Any]) -> None:
    left = max((len(name) for name in answer), default=0) + 2
    for name, value in answer.items():
        label = f"{name.replace('_', ' '):<{left}}"
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            click.echo(label.rstrip())
            for line in lines_of(value):
                click.echo(f"  {line}")
        else:
            click.echo(f"{label}{_cell(value, whole=True)}".rstrip())


def _columns(derived: Derived) -> tuple[str, ...]:
    """The fields of the listed model in the order declared."""
    listed: Any = derived.result.model_fields["items"].annotation if derived.paged else derived.result
    model = next(iter(get_args(listed)), None)
    fields = getattr(model, "model_fields", {})
    return tuple(fields)


def _cell(value: Any, *, whole: bool = False) -> str:
    if value is None or value == "" or value == [] or value == {}:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        text = of_place(value)
    elif isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        text = ", ".join(map(str, value))
    elif isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    else:
        text = str(value)
    if whole:
        return text
    text = " ".join(text.split())
    return text if len(text) <= _WIDEST * 2 else text[: _WIDEST * 2 - 1] + "…"


def _narrow(sizes: dict[str, int], width: int) -> None:
    """Takes from the widest columns until the table fits, but leaves each at least eight characters."""
    over = sum(sizes.values()) + 2 * (len(sizes) - 1) - width
    while over > 0:
        name = max(sizes, key=lambda one: sizes[one])
        if sizes[name] <= 8:
            return
        sizes[name] -= 1
        over -= 1


def _fit(text: str, size: int, right: bool) -> str:
    cut = text if len(text) <= size else text[: size - 1] + "…"
    return cut.rjust(size) if right else cut.ljust(size)


def _coloured(line: str) -> str:
    words = {word.lower().strip(",") for word in line.split()}
    if words & BAD:
        return click.style(line, fg="red")
    return click.style(line, fg="green") if words & GOOD else line
