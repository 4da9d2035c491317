"""Label matchers, and regular expressions as PromQL means them (RE2, matched against the whole value)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from opsroom.kernel.errors import Invalid
from opsroom.telemetry.port import Labels


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label matcher. `op` is one of = != =~ !~; a regular expression matches the whole value; an absent label is ""."""

    name: str
    op: str
    value: str


Alternatives = tuple[tuple[Matcher, ...], ...]
"""Matchers joined by `or`: a series is selected when all matchers of any alternative hold."""


def both(one: Alternatives, other: Alternatives) -> Alternatives:
    """Matchers that hold where those of both hold; empty: everywhere."""
    if not one or not other:
        return one or other
    return tuple((*left, *right) for left, right in product(one, other))


def matches(matcher: Matcher, labels: Labels) -> bool:
    """Whether one series satisfies one matcher."""
    value = next((v for name, v in labels if name == matcher.name), "")
    if matcher.op in {"=", "!="}:
        return (value == matcher.value) == (matcher.op == "=")
    return bool(compiled(matcher.value).fullmatch(value)) == (matcher.op == "=~")


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """A PromQL regular expression in Python's terms: `.` matches newlines, a flag group in the middle becomes scoped."""
    try:
        return re.compile(_scoped_flags(pattern), re.DOTALL)
    except re.error as error:
        raise Invalid(f'invalid regular expression "{pattern}": {error}') from None


def expand(template: str, groups: tuple[str, ...], names: Mapping[str, int]) -> str:
    """Go's Regexp.Expand: $name is the longest run of letters, digits, _; an unknown group is empty; $$ is $."""

    def one(reference: re.Match[str]) -> str:
        if reference[0] == "$$":
            return "$"
        name = reference[1] or reference[2]
        number = int(name) if name.isdecimal() else names.get(name, len(groups))
        return groups[number] if number < len(groups) else ""

    return re.sub(r"\$\$|\$\{(\w+)\}|\$(\w+)", one, template)


def _scoped_flags(pattern: str) -> str:
    """RE2's `(?i)x` holds to the end of its group; Python only takes flags at the start or as `(?i:x)`."""
    found = re.search(r"\(\?([a-z]+)\)", pattern)
    if not found:
        return pattern
    depth, end = 0, len(pattern)
    for position in range(found.end(), len(pattern)):
        depth += {"(": 1, ")": -1}.get(pattern[position], 0)
        if depth < 0:
            end = position
            break
    inner = _scoped_flags(pattern[found.end() : end])
    return f"{pattern[: found.start()]}(?{found[1]}:{inner}){pattern[end:]}"
