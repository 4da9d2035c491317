"""The language of log search: `service:checkout AND level:error AND "timed out"`, parsed to a tree, compiled to SQL.

Words match whole words of the message in any case; a phrase in quotes matches as it stands. `field:value` looks at service,
environment, level, trace_id, message, or an attribute of that name; `*` and `?` are wildcards, `field:*` asks that it is
there, `field:>5` and its kin compare numbers. AND binds closer than OR; two terms side by side are joined by AND; NOT or `-`
negates; parentheses group. Operators are written in capitals.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from opsroom.kernel.errors import Invalid

MAX_LENGTH = 4_000
MAX_DEPTH = 50

COLUMNS = ("service", "environment", "level", "trace_id", "message")


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `field` "" is the message. `op` is one of `:` `>` `>=` `<` `<=`; `phrase`: it was quoted."""

    field: str
    value: str
    phrase: bool = False
    op: str = ":"


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Node, ...]


Node = Term | Not | And | Or


def parse(text: str) -> Node | None:
    """The tree; None for an empty search, which matches every line. Raises Invalid with the column of the fault."""
    if len(text) > MAX_LENGTH:
        raise Invalid(f"the log search has {len(text):,} characters, the limit is {MAX_LENGTH:,}")
    return _Parser(text).whole()


def compile_sql(node: Node | None, literal: Callable[[str], str]) -> str:
    """The condition on the logs table. `literal` quotes text for SQL; nothing of the search is put in otherwise."""
    match node:
        case None:
            return "1"
        case Not(part):
            return f"NOT ({compile_sql(part, literal)})"
        case And(parts):
            return "(" + " AND ".join(compile_sql(part, literal) for part in parts) + ")"
        case Or(parts):
            return "(" + " OR ".join(compile_sql(part, literal) for part in parts) + ")"
    return _field(node, literal) if node.field not in {"", "message"} else _message(node, literal)


def _message(term: Term, literal: Callable[[str], str]) -> str:
    text = term.value.lower()
    if term.op != ":":
        raise Invalid(f"the log message cannot be compared with {term.op}{term.value}; compare an attribute")
    if not term.phrase and re.search(r"[*?]", text):
        return "1" if text == "*" else f"match(lower(message), {literal(_pattern(text, whole_words=True))})"
    words = re.findall(r"[a-z0-9]+", text) if text.isascii() else []
    conditions = [f"hasToken(lower(message), {literal(word)})" for word in dict.fromkeys(words)]
    if words != [text]:
        conditions.append(f"position(lower(message), {literal(text)}) > 0")
    return "(" + " AND ".join(conditions) + ")"


def _field(term: Term, literal: Callable[[str], str]) -> str:
    column = term.field if term.field in COLUMNS else f"attributes[{literal(term.field)}]"
    if term.op != ":":
        try:
            number = float(term.value)
        except ValueError:
            raise Invalid(f"{term.field}:{term.op}{term.value} compares with no number") from None
        if number != number or number in {float("inf"), float("-inf")}:
            raise Invalid(f"{term.field}:{term.op}{term.value} compares with no number")
        return f"ifNull(toFloat64OrNull({column}) {term.op} {number!r}, 0)"
    if not term.phrase and term.value == "*":
        return f"{column} != ''"
    if term.field == "level":
        column = "lower(level)"
    value = term.value.lower() if term.field == "level" else term.value
    if not term.phrase and re.search(r"[*?]", value):
        return f"match({column}, {literal(_pattern(value, whole_words=False))})"
    return f"{column} = {literal(value)}"


def _pattern(text: str, *, whole_words: bool) -> str:
    """A regular expression (RE2) for wildcards; * crosses no word of a message, and anything of a field."""
    many, one = ("[0-9a-z_]*", "[0-9a-z_]") if whole_words else (".*", ".")
    body = "".join(many if c == "*" else one if c == "?" else re.escape(c) for c in text)
    return rf"(?s)\b{body}\b" if whole_words else f"(?s)^{body}$"


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<open>\() | (?P<close>\)) |
        (?P<minus>-(?=\S)) |
        (?:(?P<field>[^\s()":]+):\s*(?P<op>[<>]=?)?)?
        (?: "(?P<phrase>(?:[^"\\]|\\.)*)" | (?P<word>[^\s()":]+(?::[^\s()":]+)*) )
    )""",
    re.VERBOSE,
)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0
        self._token: re.Match[str] | None = None
        self._advance()

    def whole(self) -> Node | None:
        if self._token is None:
            return None
        found = self._either()
        if self._token is not None:
            raise self._error("')' closes nothing")
        return found

    def _either(self) -> Node:
        parts = [self._both()]
        while self._word() == "OR":
            self._advance()
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _both(self) -> Node:
        parts = [self._one()]
        while self._token is not None and not self._token["close"] and self._word() != "OR":
            if self._word() == "AND":
                self._advance()
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self) -> Node:
        token = self._token
        if token is None:
            raise self._error("the search ends where a term is expected")
        if self._word() in {"AND", "OR"}:
            raise self._error(f"{self._word()} stands where a term is expected; quote it to search for the word")
        if token["minus"] or self._word() == "NOT":
            self._advance()
            return Not(self._deeper(self._one))
        if token["open"]:
            self._advance()
            inner = self._deeper(self._either)
            if self._token is None or not self._token["close"]:
                raise self._error("'(' is not closed")
            self._advance()
            return inner
        if token["close"]:
            raise self._error("')' stands where a term is expected")
        self._advance()
        return _term(token)

    def _deeper(self, rule: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"the search is nested deeper than {MAX_DEPTH}")
        found = rule()
        self._depth -= 1
        return found

    def _word(self) -> str:
        """The bare word at hand, which may be an operator."""
        return "" if self._token is None or self._token["field"] else self._token["word"] or ""

    def _advance(self) -> None:
        rest = self._text[self._at :]
        if not rest.strip():
            self._at, self._token = len(self._text), None
            return
        self._token = _TOKEN.match(self._text, self._at)
        if self._token is None:
            self._at += len(rest) - len(rest.lstrip())
            what = "the quote is not closed" if '"' in rest else f"a value is missing at {rest.strip()[:20]!r}"
            raise self._error(what)
        self._at = self._token.end()

    def _error(self, message: str) -> Invalid:
        column = (self._token.start() if self._token else self._at) + 1
        while column <= len(self._text) and self._text[column - 1 : column].isspace():
            column += 1
        return Invalid(f"log search, column {column}: {message}")


def _term(token: re.Match[str]) -> Term:
    phrase = token["phrase"]
    value = re.sub(r"\\(.)", r"\1", phrase, flags=re.DOTALL) if phrase is not None else token["word"]
    return Term(token["field"] or "", value, phrase is not None, token["op"] or ":")
