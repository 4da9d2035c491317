"""Tokens turned into a tree, by precedence climbing, with every name that the tree mentions in the order of the text.

Precedence, from GitHub Docs: `( )`, `[ ]`, `.`, `!`, `< <= > >=`, `== !=`, `&&`, `||`. Which names exist is not decided here,
so that a tree is parsed once and serves every caller: see `names.py`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, NoReturn

from opsroom.workflows.expressions.errors import ExpressionError, Flaw, located
from opsroom.workflows.expressions.lexer import END, Token, lex
from opsroom.workflows.expressions.values import Value

MAX_DEPTH = 50
"""Levels of a tree, and parentheses within parentheses."""

_CACHED_LENGTH = 1000
_PRECEDENCE = {"||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, "<=": 4, ">": 4, ">=": 4}


class LiteralNode(NamedTuple):
    """A value as written."""

    value: Value
    depth: int = 1


class ContextNode(NamedTuple):
    """A context by its lower-case name."""

    name: str
    depth: int = 1


class IndexNode(NamedTuple):
    """`base[key]` or `base.key`; a key of None is the wildcard."""

    base: Node
    key: Node | None
    depth: int


class NotNode(NamedTuple):
    """`!operand`."""

    operand: Node
    depth: int


class CompareNode(NamedTuple):
    """`left operator right`, the operator one of == != < <= > >=."""

    operator: str
    left: Node
    right: Node
    depth: int


class LogicNode(NamedTuple):
    """Two or more parts joined by `&&` or `||`; a part that is the same operation is merged into it."""

    operator: str
    parts: tuple[Node, ...]
    depth: int


class CallNode(NamedTuple):
    """A function by its lower-case name."""

    name: str
    arguments: tuple[Node, ...]
    depth: int


Node = LiteralNode | ContextNode | IndexNode | NotNode | CompareNode | LogicNode | CallNode


class Mention(NamedTuple):
    """A name in the text: `arguments` is -1 for a context, -2 where a function begins, its number of arguments where it ends."""

    name: str
    text: str
    position: int
    arguments: int


class Parsed(NamedTuple):
    """What was read of a text. `root` None: nothing is written, or there is a `flaw`, which comes after all mentions."""

    text: str
    root: Node | None
    mentions: tuple[Mention, ...] = ()
    flaw: Flaw | None = None


CONTEXT = -1
FUNCTION = -2


def parse(text: str) -> Parsed:
    """Reads an expression; never raises for its text. Results for texts up to 1,000 characters are kept (2,048 of them)."""
    return _parse_cached(text) if len(text) <= _CACHED_LENGTH else _parse(text)


def _parse(text: str) -> Parsed:
    try:
        tokens = lex(text)
    except ExpressionError as error:
        return Parsed(text, None, flaw=error.flaw)
    reader = _Reader(text, tokens)
    try:
        root = reader.whole()
    except ExpressionError as error:
        return Parsed(text, None, tuple(reader.mentions), error.flaw)
    return Parsed(text, root, tuple(reader.mentions))


_parse_cached = lru_cache(maxsize=2048)(_parse)


class _Reader:
    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.at = 0
        self.groups = 0
        self.nested = 0
        self.mentions: list[Mention] = []

    def whole(self) -> Node | None:
        if self.token.kind == END:
            return None
        root = self.binary(1)
        if self.token.kind != END:
            self.unexpected()
        return root

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def binary(self, least: int) -> Node:
        left = self.unary()
        while (level := _PRECEDENCE.get(operator := self.token.kind, 0)) >= least:
            if level <= 2:
                left = self.logic(operator, level, left)
            else:
                self.at += 1
                right = self.binary(level + 1)
                left = CompareNode(operator, left, right, self.deeper(left, right))
        return left

    def logic(self, operator: str, level: int, first: Node) -> Node:
        parts: list[Node] = []
        part = first
        while True:
            if isinstance(part, LogicNode) and part.operator == operator:
                parts += part.parts
            else:
                parts.append(part)
            if self.token.kind != operator:
                return LogicNode(operator, tuple(parts), self.deeper(*parts))
            self.at += 1
            part = self.binary(level + 1)

    def unary(self) -> Node:
        negations = 0
        while self.token.kind == "!":
            negations += 1
            self.at += 1
        if negations >= MAX_DEPTH:
            self.too_deep()
        node = self.indexed()
        for _ in range(negations):
            node = NotNode(node, self.deeper(node))
        return node

    def indexed(self) -> Node:
        token = self.token
        self.at += 1
        if token.kind == "literal":
            return LiteralNode(token.value)
        if token.kind == "(":
            node = self.group()
        elif token.kind == "name":
            node = self.named(token)
        else:
            self.at -= 1
            self.unexpected()
        while True:
            if self.take("["):
                key = None if self.take("*") else self.inside()
                self.expect("]")
            elif self.take("."):
                key = self.member()
            else:
                return node
            node = IndexNode(node, key, self.deeper(node, *(() if key is None else (key,))))

    def group(self) -> Node:
        self.groups += 1
        if self.groups >= MAX_DEPTH:
            self.too_deep()
        node = self.binary(1)
        self.expect(")")
        self.groups -= 1
        return node

    def named(self, token: Token) -> Node:
        name = token.text.lower()
        if not self.take("("):
            self.mentions.append(Mention(name, token.text, token.position, CONTEXT))
            return ContextNode(name)
        self.mentions.append(Mention(name, token.text, token.position, FUNCTION))
        arguments: list[Node] = []
        if not self.take(")"):
            arguments.append(self.inside())
            while self.take(","):
                arguments.append(self.inside())
            self.expect(")")
        self.mentions.append(Mention(name, token.text, token.position, len(arguments)))
        return CallNode(name, tuple(arguments), self.deeper(*arguments))

    def member(self) -> Node | None:
        if self.take("*"):
            return None
        token = self.token
        if token.kind != "property":
            self.unexpected()
        self.at += 1
        return LiteralNode(token.text)

    def inside(self) -> Node:
        self.nested += 1
        if self.nested >= MAX_DEPTH:
            self.too_deep()
        node = self.binary(1)
        self.nested -= 1
        return node

    def take(self, kind: str) -> bool:
        if self.token.kind != kind:
            return False
        self.at += 1
        return True

    def expect(self, kind: str) -> None:
        if not self.take(kind):
            self.unexpected()

    def deeper(self, *children: Node) -> int:
        depth = 1 + max((child.depth for child in children), default=0)
        if depth > MAX_DEPTH:
            self.too_deep()
        return depth

    def unexpected(self) -> NoReturn:
        token = self.token
        what = "Unexpected symbol"
        if token.kind == END:
            token = self.tokens[self.at - 1]
            what = "Unexpected end of expression"
        raise ExpressionError(located("parsing", what, token.text, token.position, self.text))

    def too_deep(self) -> NoReturn:
        raise ExpressionError(Flaw(kind="parsing", message=f"Exceeded max expression depth {MAX_DEPTH}"))
