"""The reference in docs/reference, written from what is declared: `python -m opsroom.surfaces.reference [--check]`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import click

from opsroom.contracts import scopes
from opsroom.contracts.actions import Action
from opsroom.contracts.area import Area
from opsroom.contracts.events import EventType
from opsroom.contracts.facts import Question
from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.contracts.operations import Operation
from opsroom.contracts.sentences import KERNEL_EVENTS
from opsroom.kernel.resources import KINDS, Kind
from opsroom.kernel.settings import PREFIX, Settings
from opsroom.surfaces import derived as surface
from opsroom.surfaces.cli.commands import command_of
from opsroom.surfaces.cli.contents import SECTIONS
from opsroom.surfaces.cli.index import KERNEL, OWN_COMMANDS
from opsroom.surfaces.reference_types import field_rows, said, value_of

COMMAND = "python -m opsroom.surfaces.reference"
FOLDER = Path("docs") / "reference"
_NOTE = f"<!-- Written by `{COMMAND}` from the declarations; a test holds this file to them. -->"


def reference(areas: Sequence[Area]) -> Mapping[str, str]:
    """The text of each file by its name in docs/reference."""
    return {
        "operations.md": _document("Operations", _OPERATIONS, _operations(areas)),
        "settings.md": _document("Settings", _SETTINGS, _settings()),
        "events.md": _document("Events", _EVENTS, _events(areas)),
        "actions.md": _document("Actions for workflows", _ACTIONS, _actions(areas)),
        "kinds.md": _document("Kinds", _KINDS, _kinds(areas)),
        "facts.md": _document("Facts", _FACTS, _facts(areas)),
    }


def areas_in_contents() -> tuple[Area, ...]:
    """The areas in the order of the command line's table of contents."""
    return tuple(
        importlib.import_module(f"opsroom.areas.{section.title}").AREA
        for section in SECTIONS
        if section.title != KERNEL
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the files that differ, or with --check names them; 1 if there were any then."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Write docs/reference from what is declared.")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where a file differs")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"default: {FOLDER}")
    given = parser.parse_args(arguments)
    stale = False
    for name, text in reference(areas_in_contents()).items():
        path = given.folder / name
        if path.exists() and path.read_text() == text:
            continue
        stale = True
        print(f"{path} differs; run {COMMAND}" if given.check else path)
        if not given.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return 1 if given.check and stale else 0


_OPERATIONS = """
Every verb is one function. The command line and the API are derived from its signature, so each verb has the same name and the same
parameters on both. Commands print a table, or JSON with `--json`. The API stands under `/api/v1` and describes itself as OpenAPI 3.1 at
`/api/v1/openapi.json`. *Needs* is the least that a role must give: a viewer may read, an operator may operate too, an approver may
approve too, an admin may do everything; and on which teams and environments, as [access](../guides/access.md) explains.
"""


def _operations(areas: Sequence[Area]) -> Iterator[str]:
    yield "## Commands that are no operations\n"
    yield _table(("command", ""), [(f"`opsroom {name}`", line) for name, (_, line) in OWN_COMMANDS.items()])
    parts = [(KERNEL, KERNEL_OPERATIONS), *((area.name, area.operations) for area in areas)]
    for title, operations in parts:
        yield f"## {title.capitalize()}\n"
        for operation in operations:
            yield from _operation(operation)


def _operation(operation: Operation) -> Iterator[str]:
    yield f"### `{operation.name}`\n"
    yield f"{operation.summary}\n"
    derived = surface.derive(operation)
    if operation.local:
        yield f"Only in this process: {operation.local}\n"
    else:
        yield f"    {_command_line(derived)}\n    {derived.method} {surface.PREFIX}{derived.path}\n"
    yield f"Needs: {operation.needs}{_scope(operation)}. Answers {said(derived.result)}.\n"
    rows = [
        (f"`{one.name}`", value_of(one.type), "required" if one.required else _default(one.default))
        for one in derived.parameters
    ]
    if rows:
        yield _table(("parameter", "", "default"), rows)


def _scope(operation: Operation) -> str:
    """On what the role must be held."""
    match operation.scope:
        case scopes.Shared(why):
            return f", anywhere: {why}"
        case scopes.Sifted(how):
            return f", anywhere; it gives {how}"
        case scopes.Seen():
            return ", anywhere; it gives what the reader's roles cover"
        case scopes.Whole():
            return ", for every team and environment"
        case scopes.Named():
            return ", on the team and environment that its parameters name"
    return ", on the team and environment of what it is about"


def _command_line(derived: surface.Derived) -> str:
    command = command_of(derived)
    words = ["opsroom", derived.operation.noun, derived.operation.verb]
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            words.append(parameter.make_metavar(click.Context(command)))
        elif isinstance(parameter, click.Option) and not parameter.hidden and parameter.name != "as_json":
            words.append(_option(parameter))
    return " ".join(words)


def _option(option: click.Option) -> str:
    flag = "/".join([option.opts[0], *option.secondary_opts[:1]])
    word = flag if option.is_flag else f"{flag} {option.make_metavar(click.Context(click.Command('opsroom')))}"
    word += "…" if option.multiple else ""
    return word if option.required else f"[{word}]"


_SETTINGS = """
A setting is given in the environment, or by an option of the same name where a command has one. A name in the environment that
begins with `OPSROOM_` and is none of these is an error.
"""


def _settings() -> Iterator[str]:
    rows = [
        (f"`{one.name}`", f"`{PREFIX}{one.name.upper()}`", _default(one.default), _cell(str(one.metadata["help"])))
        for one in fields(Settings)
    ]
    yield _table(("setting", "in the environment", "default", ""), rows)


_EVENTS = """
What may stand in the ledger. The sentence is what pages say of an event; names in braces come from its data and its subjects.
A *change* can be the cause of trouble: it is marked on charts and ranked among the suspects of an incident.
"""


def _events(areas: Sequence[Area]) -> Iterator[str]:
    for title, types in [(KERNEL, KERNEL_EVENTS), *((area.name, area.events) for area in areas)]:
        if types:
            yield f"## {title.capitalize()}\n"
            yield _table(("type", "version", "sentence", "change", "CDEvents type"), map(_event, types))


def _event(declared: EventType) -> tuple[str, ...]:
    change = "yes" if declared.change else ""
    cdevents = f"`{declared.cdevents}`" if declared.cdevents else ""
    return f"`{declared.name}`", str(declared.version), _cell(declared.sentence), change, cdevents


_ACTIONS = """
What a workflow may name in `uses:` beside the built-in actions of the [workflow syntax](workflow-syntax.md). They run in the
server, as the run's own identity, and only with the permission that the workflow grants under `permissions:`. After a crash an action is asked
for the effect it had under its key; it is run again only where there was none.
"""


def _actions(areas: Sequence[Area]) -> Iterator[str]:
    for area in areas:
        for action in area.actions:
            yield from _action(area, action)


def _action(area: Area, action: Action) -> Iterator[str]:
    yield f"## `{action.name}`\n"
    scope = f"`{action.permission[0]}: {action.permission[1]}`" if action.permission else "none"
    yield f"{action.help} Of {area.name}; permission: {scope}.\n"
    rows = [
        (f"`{one.name}`", "required" if one.required else _default(one.default), _cell(one.help))
        for one in action.inputs
    ]
    if rows:
        yield _table(("input", "default", ""), rows)
    if action.outputs:
        yield _table(("output", ""), [(f"`{name}`", _cell(text)) for name, text in action.outputs.items()])


_KINDS = """
The kinds of the ops repo as they are declared. [The ops repo](ops-repo.md) says what each field means.
"""


def _kinds(areas: Sequence[Area]) -> Iterator[str]:
    for title, kinds in [(KERNEL, KINDS), *((area.name, area.kinds) for area in areas)]:
        for kind in kinds:
            yield from _kind(title, kind)


def _kind(title: str, kind: Kind) -> Iterator[str]:
    versions = ", ".join(f"`{version}`" for version in (kind.api_version, *kind.also))
    where = f", in {', '.join(f'`{pattern}`' for pattern in kind.where)}" if kind.where else ""
    yield f"## {kind.name}\n"
    yield f"{versions}{where}; of {title}.\n"
    named = {one.path.removesuffix("[]"): _names(one) for one in kind.references}
    hidden = dict.fromkeys(kind.secrets, "may name secrets")
    prefix = "" if kind.where else "spec."
    rows = [
        (f"`{prefix}{row.path}`", _cell(row.type), row.default, named.get(row.path, "") or hidden.get(row.path, ""))
        for row in field_rows(kind.model)
    ]
    if rows:
        yield _table(("field", "type", "default", ""), rows)


def _names(one: Any) -> str:
    if one.file:
        return "a file of the repository" + ("" if one.file == "." else f" under `{one.file}`")
    return f"refers to {' or '.join(one.kinds)}"


_FACTS = """
Questions that one area answers and any may ask. An answer is a value, or *unknown* with its reason, and the time it was true, and the ids
of the events behind it. Gates, suspects, retention, pages and documents are written over facts, so that no area needs to know another.
"""


def _facts(areas: Sequence[Area]) -> Iterator[str]:
    for area in areas:
        for question in area.facts:
            yield from _fact(area, question)


def _fact(area: Area, question: type[Question[Any]]) -> Iterator[str]:
    hints = get_type_hints(question)
    given = ", ".join(
        f"`{one.name}`" + ("" if one.default is MISSING else f" (default {_default(one.default) or 'empty'})")
        for one in fields(question)
    )
    asked = f" Asked by {given}." if given else ""
    yield f"## {question.__name__}\n"
    yield f"{(question.__doc__ or '').strip()} Answered by {area.name}.{asked if hints else ''}\n"
    value = _value(question)
    inner = next((one for one in (value, *get_args(value)) if hasattr(one, "__dataclass_fields__")), None)
    if inner is None:
        yield f"Value: {value_of(value)}.\n"
        return
    many = "several of " if get_origin(value) is tuple else ""
    held = get_type_hints(inner)
    yield f"Value: {many}{inner.__name__}. {(inner.__doc__ or '').strip()}\n"
    yield _table(("field", ""), [(f"`{one.name}`", _cell(value_of(held[one.name]))) for one in fields(inner)])


def _value(question: type[Question[Any]]) -> Any:
    bases: tuple[Any, ...] = question.__orig_bases__  # type: ignore[attr-defined]
    return next(get_args(base)[0] for base in bases if get_origin(base) is Question)


def _document(title: str, opening: str, parts: Iterable[str]) -> str:
    return "\n".join([f"# {title}\n", _NOTE, opening, *parts]).rstrip() + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    line: Callable[[Sequence[str]], str] = lambda cells: f"| {' | '.join(cells)} |"  # noqa: E731
    return "\n".join([line(head), line(["---"] * len(head)), *map(line, rows), ""])


def _default(value: Any) -> str:
    if value is None or value == "" or value == ():
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
