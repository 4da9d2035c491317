"""Where an expression stops being PromQL: promql-parser says that it does, and tells no position."""

from __future__ import annotations

import re
from itertools import product

import promql_parser

NO_GRAMMAR = "invalid promql query"
_TOKEN = re.compile(r"""\s+|\#.*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|[\w.:]+|=~|!~|==|!=|<=|>=|.""", re.DOTALL)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_MOST_TOKENS = 500
_HEADS = {"[": ("", "5m"), "{": ("", '"x"', '="x"', 'x="x"')}
"""What may stand between the last token and the brackets that are still open, by the innermost of them."""
_OPEN_HEADS = ("", " x", " 5m", ' "x"', "(x)", "(x) (x)", "(x) x", "[5m]", "()")
_TAILS = ("", " (x)", " x")


def first_fault(text: str) -> str:
    """What is wrong with the grammar of `text`, in words: the first token that nothing could follow up to a whole expression."""
    open_brackets: list[str] = []
    tokens = [found for found in _TOKEN.finditer(text) if not found[0].isspace() and not found[0].startswith("#")]
    for found in tokens[:_MOST_TOKENS]:
        word = found[0]
        if word in _CLOSING:
            open_brackets.append(word)
        elif word in _CLOSING.values() and open_brackets and _CLOSING[open_brackets[-1]] == word:
            open_brackets.pop()
        if not _can_go_on(text[: found.end()], open_brackets):
            line = text.count("\n", 0, found.start()) + 1
            column = found.start() - text.rfind("\n", 0, found.start())
            return f"`{word}` may not stand at line {line}, column {column}"
    return "it ends where more is expected; write a value, or take the last word away"


def _can_go_on(start: str, open_brackets: list[str]) -> bool:
    closing = "".join(_CLOSING[bracket] for bracket in reversed(open_brackets))
    heads = _HEADS.get(open_brackets[-1], _OPEN_HEADS) if open_brackets else _OPEN_HEADS
    return any(_is_grammar(start + head + closing + tail) for head, tail in product(heads, _TAILS))


def _is_grammar(text: str) -> bool:
    try:
        promql_parser.parse(text)
    except ValueError as error:
        return not str(error).startswith((NO_GRAMMAR, "unclosed", "unexpected", "no expression", "bad"))
    return True
