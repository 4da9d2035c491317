"""Answers for people: aligned plain text, times of this place, colour only on a terminal; or JSON as it came."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, get_args

import click

from opsroom.contracts.operations import Model
from opsroom.kernel.clock import parse_stamp
from opsroom.surfaces.derived import Derived

STATES = ("state", "conclusion", "verdict")
GOOD = frozenset({
    "success", "ok", "up", "pass", "passed", "met", "delivered", "finished", "applied", "resolved", "closed", "in sync",
})  # fmt: skip
BAD = frozenset(
    {"failure", "failed", "fail", "down", "missing", "firing", "open", "not met", "drifted", "over", "timed_out"}
)
_WIDEST = 120
_NARROWEST = 12
_HEX = re.compile(r"((?:sha256:)?[0-9a-f]{12})[0-9a-f]{28,52}")


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
        _table(answer["items"], derived)
        if answer["next"]:
            click.echo(f"there is more: --after {answer['next']}", err=True)
    elif isinstance(answer, list):
        _table(answer, derived)
    else:
        _record(answer, derived.result)


def of_place(text: str, *, today: date | None = None) -> str:
    """A time as this place's clock shows it, to the second, and without its date if that is `today`; any other text as it is."""
    if len(text) < 20 or text[4] != "-" or text[10] != "T":
        return text
    try:
        moment = parse_stamp(text).astimezone()
    except ValueError:
        return text
    return moment.strftime("%H:%M:%S" if moment.date() == today else "%Y-%m-%d %H:%M:%S")


def lines_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> list[str]:
    """A table as lines, nothing cut: columns that are empty everywhere are left out, numbers are aligned to the right."""
    cells = _cells(rows, columns, _cell)
    return _lines(rows, cells, {name: _size(name, found) for name, found in cells.items()})


def fitted(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, width: int, today: date
) -> tuple[list[str], list[str]]:
    """A table for a terminal of `width` characters, and the columns that had no room. Digests, commits and lists are shortened; the
    first column, by which a row is asked for, is never cut."""
    cells = _cells(rows, columns, lambda value: _brief(value, today))
    sizes = {name: _size(name, found) for name, found in cells.items()}
    others = list(sizes)[1:]
    while sum(sizes.values()) + 2 * (len(sizes) - 1) > width and len(sizes) > 1:
        widest = max(others, key=lambda name: sizes[name])
        if sizes[widest] > _NARROWEST:
            sizes[widest] -= 1
        else:
            sizes.pop(others.pop())
    return _lines(rows, cells, sizes), [name for name in cells if name not in sizes]


def _cells(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], text: Callable[[Any], str]
) -> dict[str, list[str]]:
    names = columns or list(dict.fromkeys(name for row in rows for name in row))
    cells = {name: [text(row.get(name)) for row in rows] for name in names}
    return {name: found for name, found in cells.items() if any(found)} or {name: cells[name] for name in names[:1]}


def _size(name: str, cells: Sequence[str]) -> int:
    return max(len(name), *(len(cell) for cell in cells))


def _lines(
    rows: Sequence[Mapping[str, Any]], cells: Mapping[str, Sequence[str]], sizes: Mapping[str, int]
) -> list[str]:
    numeric = {name for name in sizes if all(isinstance(row.get(name), int | float | None) for row in rows)}
    lines = ["  ".join(_fit(name.replace("_", " "), size, name in numeric) for name, size in sizes.items())]
    lines += [
        "  ".join(_fit(cells[name][at], size, name in numeric) for name, size in sizes.items())
        for at in range(len(rows))
    ]
    return [line.rstrip() for line in lines]


def _table(rows: Sequence[Mapping[str, Any]], derived: Derived) -> None:
    if not rows:
        click.echo("none", err=True)
    elif sys.stdout.isatty():
        (head, *body), missing = _for_terminal(rows, _model(derived))
        click.echo(click.style(head, bold=True))
        for row, line in zip(rows, body, strict=True):
            click.echo(_coloured(line, row))
        if missing:
            click.echo(
                f"no room for {', '.join(missing).replace('_', ' ')}: widen the terminal, or take --json", err=True
            )
    else:
        for line in lines_of(rows, _fields(derived)):
            click.echo(line)


def _for_terminal(
    rows: Sequence[Mapping[str, Any]], model: type[Model], *, indent: int = 0
) -> tuple[list[str], list[str]]:
    columns = model.columns or tuple(model.model_fields)
    width = shutil.get_terminal_size().columns - indent
    return fitted(rows, columns, width=width, today=datetime.now().astimezone().date())


def _record(answer: Mapping[str, Any], model: type[Model]) -> None:
    left = max((len(name) for name in answer), default=0) + 2
    for name, value in answer.items():
        label = f"{name.replace('_', ' '):<{left}}"
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            click.echo(label.rstrip())
            nested = _of_list(model.model_fields[name].annotation) if name in model.model_fields else Model
            for line in _for_terminal(value, nested, indent=2)[0] if sys.stdout.isatty() else lines_of(value):
                click.echo(f"  {line}")
        else:
            click.echo(f"{label}{_cell(value, whole=True)}".rstrip())


def _fields(derived: Derived) -> tuple[str, ...]:
    """The fields of the listed model in the order declared."""
    return tuple(getattr(_model(derived), "model_fields", ()))


def _model(derived: Derived) -> type[Model]:
    listed: Any = derived.result.model_fields["items"].annotation if derived.paged else derived.result
    return _of_list(listed)


def _of_list(listed: Any) -> type[Model]:
    found = next(iter(get_args(listed)), None)
    return found if isinstance(found, type) and issubclass(found, Model) else Model


def _brief(value: Any, today: date) -> str:
    """A cell of a terminal: enough of a digest or commit to ask for it by, and of each thing in a list the name."""
    if isinstance(value, str):
        known = _HEX.fullmatch(value)
        return known[1] if known else " ".join(of_place(value, today=today).split())
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"  # noqa: PLR2004
    if isinstance(value, dict):
        return ", ".join(f"{name}={_brief(one, today)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(_brief(next(iter(one.values()), "") if isinstance(one, dict) else one, today) for one in value)
    return _cell(value)


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
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _fit(text: str, size: int, right: bool) -> str:
    cut = text if len(text) <= size else text[: size - 1] + "…"
    return cut.rjust(size) if right else cut.ljust(size)


def _coloured(line: str, row: Mapping[str, Any]) -> str:
    states = {row[name] for name in STATES if row.get(name)}
    if states & BAD:
        return click.style(line, fg="red")
    return click.style(line, fg="green") if states & GOOD else line
