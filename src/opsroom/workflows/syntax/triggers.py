"""Reads `on:`: events with their filters, schedules, and the typed inputs of workflow_dispatch."""

from __future__ import annotations

from typing import Any

from opsroom.kernel.documents import Path
from opsroom.kernel.errors import Problem
from opsroom.workflows.expressions import to_text
from opsroom.workflows.model import Input, Trigger
from opsroom.workflows.syntax.shapes import Reading, suggestion

_EXCLUSIVE = (("branches", "branches-ignore"), ("tags", "tags-ignore"), ("paths", "paths-ignore"))


def read_triggers(reading: Reading, value: Any, unsupported: list[Problem]) -> tuple[Trigger, ...]:
    """The triggers of a shaped `on`; problems go to `reading`, what is accepted but not run to `unsupported`."""
    if isinstance(value, list) and value:
        names = [
            (name, ("on", index) if isinstance(reading.node.value["on"], list) else ("on",))
            for index, name in enumerate(value)
        ]
        return tuple(Trigger(event=name, place=reading.place(path)) for name, path in names if name)
    if value in ([], {}):
        reading.problem(("on",), "'on' names no event", "write an event, such as push")
    if not isinstance(value, dict):
        return ()
    return tuple(_trigger(reading, event, given, unsupported) for event, given in value.items())


def check_cron(text: str) -> str:
    """What is wrong with a cron expression of five fields ("" : nothing)."""
    if len(text.split()) != 5:
        return f"cron {text!r} has {len(text.split())} of 5 fields"
    from datetime import UTC, datetime

    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        return f"cron {text!r} is not valid: {error}"
    except StopIteration:
        return f"cron {text!r} never comes"
    return ""


def _trigger(reading: Reading, event: str, given: Any, unsupported: list[Problem]) -> Trigger:
    path: Path = ("on", event)
    place = reading.place(path, key=True)
    if event == "schedule":
        return _schedule(reading, given, path)
    if not isinstance(given, dict):
        return Trigger(event=event, place=place)
    for wanted, ignored in _EXCLUSIVE:
        unsupported += _contradictions(reading, given, path, wanted, ignored)
        for key in (wanted, ignored):
            _check_patterns(reading, given.get(key), (*path, key))
    inputs = given.get("inputs")
    return Trigger(
        event=event,
        types=_texts(given, "types"),
        branches=_texts(given, "branches"),
        branches_ignore=_texts(given, "branches-ignore"),
        tags=_texts(given, "tags"),
        tags_ignore=_texts(given, "tags-ignore"),
        paths=_texts(given, "paths"),
        paths_ignore=_texts(given, "paths-ignore"),
        workflows=_texts(given, "workflows"),
        inputs=_inputs(reading, inputs, (*path, "inputs")) if isinstance(inputs, dict) else (),
        place=place,
    )


def _contradictions(reading: Reading, given: dict[str, Any], path: Path, wanted: str, ignored: str) -> list[Problem]:
    """Filters that GitHub's syntax lets pass and its documentation rules out."""
    found = []
    if wanted in given and ignored in given:
        message = f"{path[-1]} has both {wanted!r} and {ignored!r}"
        way_out = f"use {wanted!r} with patterns that start with !"
        found.append(Problem(reading.place((*path, ignored), key=True), message, way_out))
    patterns = _texts(given, wanted)
    if patterns and all(pattern.startswith("!") for pattern in patterns):
        message = f"{wanted!r} only excludes, so nothing is included"
        found.append(
            Problem(reading.place((*path, wanted), key=True), message, f"add a pattern without !, or use {ignored!r}")
        )
    return found


def _texts(given: dict[str, Any], key: str) -> tuple[str, ...]:
    return tuple(text for text in given.get(key) or () if isinstance(text, str))


def _check_patterns(reading: Reading, patterns: Any, path: Path) -> None:
    from opsroom.workflows.syntax.patterns import check_pattern

    if not isinstance(patterns, list):
        return
    listed = isinstance(_at(reading.node.value, path), list)
    for index, pattern in enumerate(patterns):
        wrong = check_pattern(pattern) if isinstance(pattern, str) and pattern else ""
        if wrong:
            reading.problem(
                (*path, index) if listed else path,
                f"pattern {pattern!r}: {wrong}",
                "see the filter patterns * ** ? + [] !",
            )


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _schedule(reading: Reading, given: Any, path: Path) -> Trigger:
    crons: list[str] = []
    zones: list[str] = []
    for index, entry in enumerate(given if isinstance(given, list) else ()):
        cron = entry.get("cron") if isinstance(entry, dict) else None
        if not cron:
            continue
        wrong = check_cron(cron)
        if wrong:
            reading.problem(
                (*path, index, "cron"),
                wrong,
                "write minute, hour, day of month, month, day of week, such as '30 2 * * 1-5'",
            )
        zone = entry.get("timezone") or ""
        if zone and not _is_zone(zone):
            reading.problem(
                (*path, index, "timezone"), f"unknown time zone {zone!r}", "write an IANA name, such as Europe/Berlin"
            )
        crons.append(cron)
        zones.append(zone)
    if isinstance(given, list) and not given:
        reading.problem(path, "'schedule' is empty", "add an item such as - cron: '30 2 * * *'")
    return Trigger(event="schedule", cron=tuple(crons), timezones=tuple(zones), place=reading.place(path, key=True))


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _inputs(reading: Reading, given: dict[str, Any], path: Path) -> tuple[Input, ...]:
    return tuple(_input(reading, name, value or {}, (*path, name)) for name, value in given.items())


def _input(reading: Reading, name: str, given: dict[str, Any], path: Path) -> Input:
    kind = given.get("type") or "string"
    options = tuple(option for option in given.get("options") or () if option is not None)
    default = given.get("default")
    wrong = _wrong_default(kind, default, options, explicit="type" in given)
    if wrong:
        reading.problem((*path, "default"), f"the default of input {name!r} is {wrong[0]}", wrong[1])
    if kind == "choice" and not options:
        reading.problem(
            path,
            f"input {name!r} is a choice without options",
            "add 'options:' with the values to choose from",
            key=True,
        )
    if kind != "choice" and options and "type" in given:
        reading.problem(
            (*path, "options"), f"input {name!r} has options and is of type {kind}", "make it 'type: choice'", key=True
        )
    return Input(
        name=name,
        type=kind,
        description=given.get("description") or "",
        required=given.get("required") is True,
        default=default,
        options=options,
    )


def _wrong_default(kind: str, default: Any, options: tuple[str, ...], *, explicit: bool) -> tuple[str, str] | None:
    if default is None or (isinstance(default, str) and "${{" in default):
        return None
    shown = to_text(default)
    if kind == "boolean" and not isinstance(default, bool):
        return f"{shown!r}", "write true or false without quotes"
    if kind == "number" and (isinstance(default, bool) or not isinstance(default, int | float)):
        return f"{shown!r}", "write a number without quotes"
    if kind == "choice" and options and shown not in options:
        return f"{shown!r}, which is none of its options", suggestion(shown, options)
    if kind in {"string", "environment"} and explicit and not isinstance(default, str):
        return f"{shown}, which is not text", f"write '{shown}' in quotes"
    return None
