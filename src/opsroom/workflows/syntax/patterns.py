"""GitHub's filter patterns for branches, tags and paths: `*` `**` `?` `+` `[]` `!` and `\\`.

Source: "Filter pattern cheat sheet" of the workflow syntax. `*` stops at `/`, `**` does not, `?` and `+` repeat the character
before them, `**/` also stands for nothing. Matching takes time in proportion to pattern times text, whatever the pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

MAX_PATTERN = 1000


@dataclass(frozen=True, slots=True)
class _Token:
    """One character to match and how often: `skip` it may be left out, `again` it may repeat; `jump` leaves it and the next two out."""

    accepts: Callable[[str], bool]
    skip: bool = False
    again: bool = False
    jump: bool = False


class PatternError(ValueError):
    """The pattern is malformed; the text says how."""


def check_pattern(pattern: str) -> str:
    """What is wrong with a pattern ("" : nothing)."""
    try:
        _tokens(pattern.removeprefix("!"))
    except PatternError as error:
        return str(error)
    return ""


def matches_pattern(pattern: str, text: str) -> bool:
    """Whether one pattern without a leading `!` matches the whole text; a malformed pattern is a PatternError."""
    tokens = _tokens(pattern)
    states = _closure({0}, tokens)
    for character in text:
        following: set[int] = set()
        for state in states:
            if state < len(tokens) and tokens[state].accepts(character):
                following.add(state + 1)
                if tokens[state].again:
                    following.add(state)
        states = _closure(following, tokens)
        if not states:
            return False
    return len(tokens) in states


def matches_any(patterns: Iterable[str], text: str) -> bool:
    """Whether a list of patterns includes the text: the last one that matches decides, and one with a leading `!` excludes."""
    included = False
    for pattern in patterns:
        excludes = pattern.startswith("!")
        if included == excludes and matches_pattern(pattern[1:] if excludes else pattern, text):
            included = not excludes
    return included


def _closure(states: set[int], tokens: tuple[_Token, ...]) -> set[int]:
    found, waiting = set(states), list(states)
    while waiting:
        state = waiting.pop()
        if state >= len(tokens):
            continue
        for reached in (state + 1 if tokens[state].skip else state, state + 3 if tokens[state].jump else state):
            if reached not in found:
                found.add(reached)
                waiting.append(reached)
    return found


@lru_cache(maxsize=512)
def _tokens(pattern: str) -> tuple[_Token, ...]:
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"it is longer than {MAX_PATTERN} characters")
    tokens: list[_Token] = []
    at, repeatable = 0, False
    while at < len(pattern):
        character = pattern[at]
        if character == "*":
            at, repeatable = _star(pattern, at, tokens), False
            continue
        if character in "?+":
            if not repeatable:
                raise PatternError(
                    f"{character!r} has no character before it to repeat; write \\{character} for itself"
                )
            last = tokens.pop()
            tokens.append(_Token(last.accepts, skip=character == "?", again=character == "+"))
            at, repeatable = at + 1, False
            continue
        if character == "[":
            token, at = _set(pattern, at)
            tokens.append(token)
        else:
            if character == "\\" and at + 1 < len(pattern):
                at += 1
            tokens.append(_Token(pattern[at].__eq__))
            at += 1
        repeatable = True
    return tuple(tokens)


def _star(pattern: str, at: int, tokens: list[_Token]) -> int:
    end = at
    while end < len(pattern) and pattern[end] == "*":
        end += 1
    if end - at == 1:
        tokens.append(_Token(_not_slash, skip=True, again=True))
    else:
        starts_folder = at == 0 or pattern[at - 1] == "/"
        if starts_folder and pattern[end : end + 1] == "/":
            tokens.append(_Token(_nothing, skip=True, jump=True))
        tokens.append(_Token(_anything, skip=True, again=True))
    return end


def _set(pattern: str, at: int) -> tuple[_Token, int]:
    end = pattern.find("]", at + 1)
    if end < 0:
        raise PatternError("'[' has no ']'")
    inside = pattern[at + 1 : end]
    if not inside:
        raise PatternError("'[]' names no character")
    allowed: set[str] = set()
    place = 0
    while place < len(inside):
        first = inside[place]
        if inside[place + 1 : place + 2] == "-" and place + 2 < len(inside):
            last = inside[place + 2]
            if not _same_kind(first, last) or first > last:
                raise PatternError(f"the range {first}-{last} is not within a-z, A-Z or 0-9")
            allowed.update(chr(code) for code in range(ord(first), ord(last) + 1))
            place += 3
        else:
            allowed.add(first)
            place += 1
    return _Token(allowed.__contains__), end + 1


def _same_kind(first: str, last: str) -> bool:
    return any(
        first in kind and last in kind
        for kind in ("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789")
    )


def _not_slash(character: str) -> bool:
    return character != "/"


def _anything(character: str) -> bool:
    return True


def _nothing(character: str) -> bool:
    return False
