"""Workflow commands in a step's output (`::name key=value,…::message`), as "Workflow commands for GitHub Actions" has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

NAMES = frozenset(
    {
        "add-mask", "add-matcher", "remove-matcher", "add-path", "set-env", "set-output", "save-state", "stop-commands",
        "echo", "debug", "notice", "warning", "error", "group", "endgroup",
    }
)  # fmt: skip
_OLD = re.compile(r"##\[([a-z-]+)(?: ([^\]]*))?\](.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: its name in lower case, its properties and its message, both unescaped."""

    name: str
    properties: Mapping[str, str] = field(default_factory=dict)
    message: str = ""


def parse_command(line: str) -> Command | None:
    """The command `line` holds, or None. A line that only looks like one, or names no known command, is plain output."""
    text = line.lstrip()
    if text.startswith("::"):
        return _parse_new(text)
    if "##[" in text:
        return _parse_old(text)
    return None


def is_resume(line: str, token: str) -> bool:
    """Whether `line` ends what `::stop-commands::token` began."""
    return line.strip() == f"::{token}::"


def _parse_new(text: str) -> Command | None:
    end = text.find("::", 2)
    if end < 0:
        return None
    name, _, properties = text[2:end].strip().partition(" ")
    name = name.lower()
    if name not in NAMES:
        return None
    return Command(name=name, properties=_properties(properties, ","), message=_unescape(text[end + 2 :]))


def _parse_old(text: str) -> Command | None:
    found = _OLD.search(text)
    if found is None or found[1] not in NAMES:
        return None
    return Command(name=found[1], properties=_properties(found[2] or "", ";"), message=_unescape(found[3]))


def _properties(text: str, separator: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in text.split(separator))
    return {key: _unescape_property(value) for key, equals, value in pairs if key and equals and value}


def _unescape(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%") if "%" in text else text


def _unescape_property(text: str) -> str:
    return _unescape(text.replace("%3A", ":").replace("%2C", ",")) if "%" in text else text
