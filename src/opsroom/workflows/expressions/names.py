"""Which contexts and functions an expression may name, and with how many arguments."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from opsroom.workflows.expressions.errors import Flaw, located
from opsroom.workflows.expressions.parser import CONTEXT, FUNCTION, Mention, Parsed

MOST = 255
"""The most arguments any function takes."""


class Arity(NamedTuple):
    """How many arguments a function takes. `odd`: only an odd number of them."""

    least: int = 0
    most: int = MOST
    odd: bool = False


BUILTIN: Mapping[str, Arity] = {
    "case": Arity(3, MOST, odd=True),
    "contains": Arity(2, 2),
    "endswith": Arity(2, 2),
    "format": Arity(1, MOST),
    "fromjson": Arity(1, 1),
    "join": Arity(1, 2),
    "startswith": Arity(2, 2),
    "tojson": Arity(1, 1),
}
"""The functions that stand everywhere, by lower-case name."""

STATUS_FUNCTIONS = frozenset({"always", "cancelled", "failure", "success"})
"""The functions that make a condition decide for itself, by lower-case name."""

_SPELLED = {name.lower(): name for name in ("endsWith", "fromJSON", "hashFiles", "startsWith", "toJSON")}
"""How names are written that are told of; case makes no difference."""

_ELSEWHERE = {"hashfiles": Arity(1, MOST), "always": Arity(0, 0), "cancelled": Arity(0, 0)}


def arities(functions: Iterable[str]) -> dict[str, Arity]:
    """Functions by lower-case name, from names as GitHub's schema writes them: `hashFiles`, `success(0,MAX)`."""
    found: dict[str, Arity] = {}
    for written in functions:
        name, _, limits = written.strip().rstrip(")").partition("(")
        least, _, most = limits.partition(",")
        key = name.strip().lower()
        if most:
            found[key] = Arity(int(least), MOST if most.strip() == "MAX" else int(most))
        else:
            found[key] = _ELSEWHERE.get(key, Arity())
    return found


def flaw_of(parsed: Parsed, contexts: Collection[str] | None, functions: Mapping[str, Arity]) -> Flaw | None:
    """The first thing wrong with a text where these names exist (all lower case; contexts None: any)."""
    for mention in parsed.mentions:
        if mention.arguments == CONTEXT:
            if contexts is not None and mention.name not in contexts:
                return _unrecognized("named-value", mention, parsed, contexts)
            continue
        arity = BUILTIN.get(mention.name) or functions.get(mention.name)
        if arity is None:
            return _unrecognized("function", mention, parsed, {**BUILTIN, **functions})
        if mention.arguments != FUNCTION and (wrong := _miscounted(mention.arguments, arity)):
            return located("parsing", wrong, mention.text, mention.position, parsed.text)
    return parsed.flaw


def _miscounted(count: int, arity: Arity) -> str:
    if count < arity.least:
        return "Too few parameters supplied"
    if count > arity.most:
        return "Too many parameters supplied"
    if arity.odd and count % 2 == 0:
        return "Even number of parameters supplied, requires an odd number of parameters"
    return ""


def _unrecognized(what: str, mention: Mention, parsed: Parsed, known: Collection[str]) -> Flaw:
    flaw = located("parsing", f"Unrecognized {what}", mention.text, mention.position, parsed.text)
    return replace(flaw, way_out=_way_out(mention.name, sorted(_SPELLED.get(name, name) for name in known)))


def _way_out(given: str, known: list[str]) -> str:
    if not known:
        return "no name is known here"
    from difflib import get_close_matches

    lower = {name.lower(): name for name in known}
    near = [lower[name] for name in get_close_matches(given, lower, n=1, cutoff=0.6)]
    listed = f"known here: {', '.join(known)}" if len(known) <= 20 else ""
    return "; ".join(part for part in (f"did you mean {near[0]!r}?" if near else "", listed) if part)
