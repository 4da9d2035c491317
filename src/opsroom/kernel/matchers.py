"""Matchers: which subjects an exception is about, in Alertmanager's syntax (`service=storefront`, `environment=~"prod.*"`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from opsroom.kernel.errors import Invalid

_MATCHER = re.compile(
    r"""\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^"\s].*?)?)\s*""", re.DOTALL
)
# Literals, alternatives and `.*`, `.+`, `.?` only: such an expression cannot take exponential time on any text.
_SAFE = re.compile(r"(?:[\w\-:/@ ]|\\[^\w\s]|\.[*+?]?|\||\((?=[\w\-|.:/]*\))|(?<=[\w\-.])\))*")
_LONGEST = 200
_MANY_STARS = 4


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label. A label that is not there has the value "" (as in Alertmanager)."""

    label: str
    operator: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        given = labels.get(self.label, "")
        if self.operator in ("=", "!="):
            return (given == self.value) == (self.operator == "=")
        return bool(_compiled(self.value).fullmatch(given)) == (self.operator == "=~")

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.label}{self.operator}"{escaped}"'


def parse_matcher(text: str) -> Matcher:
    """Reads `label=value`, `!=`, `=~` or `!~`, the value in double quotes or bare. Expressions match the whole value."""
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise Invalid(f"matcher {text[:60]!r} is not LABEL=VALUE; operators are = != =~ !~")
    label, operator, quoted, bare = found.groups()
    value = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted is not None else bare or ""
    if operator in ("=~", "!~"):
        stars = value.count("*") + value.count("+")
        if len(value) > _LONGEST or stars > _MANY_STARS or not _SAFE.fullmatch(value) or not _compiles(value):
            raise Invalid(
                f"expression {value[:60]!r} may hold literals, a|b, (a|b), .* and .+ only, at most {_MANY_STARS} of the last two"
            )
    return Matcher(label, operator, value)


def labels_of(subjects: Iterable[str]) -> dict[str, str]:
    """Ledger subjects ("service:storefront") as labels; of two of one kind the first counts."""
    labels: dict[str, str] = {}
    for subject in subjects:
        kind, _, value = subject.partition(":")
        labels.setdefault(kind, value)
    return labels


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.DOTALL)


def _compiles(expression: str) -> bool:
    try:
        _compiled(expression)
    except re.error:
        return False
    return True
