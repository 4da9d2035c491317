"""Templates of labels and annotations: the part of Go's text/template that Prometheus rules use.

`{{ $labels.instance }}`, `{{ $value | humanize }}`, `{{ printf "%.1f" $value }}`, `{{ if gt $value 5.0 }}…{{ else }}…{{ end }}`.
Queries and ranges inside templates are not there. An unknown function or variable is an error when the rule is loaded.
Reference: https://prometheus.io/docs/prometheus/latest/configuration/template_reference/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opsroom.kernel.errors import Invalid
from opsroom.telemetry.promql.numbers import format_number
from opsroom.telemetry.templatefunctions import FUNCTIONS

_ACTION = re.compile(r"\{\{(-\s)?\s*(.*?)\s*(\s-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<number>[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"""
    r"""|(?P<path>\$?[A-Za-z_]\w*(?:\.\w+)*|\$?(?:\.\w+)+|[.$])|(?P<mark>[()|]))"""
)
_ROOTS = {"$labels", "$value", "$externalLabels", "$externalURL"}
_FIELDS = {"Labels", "Value", "ExternalLabels", "ExternalURL", "labels", "value"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class _Pipeline:
    """Commands fed one into the next; a command is a list of operands, the first of which may be a function."""

    commands: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class _Path:
    root: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Function:
    name: str


@dataclass(frozen=True, slots=True)
class _If:
    branches: tuple[tuple[_Pipeline | None, tuple[Any, ...]], ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was understood; `text` is how it was written."""

    text: str
    parts: tuple[Any, ...]

    def expand(self, labels: Mapping[str, str], value: float, *, external_url: str = "") -> str:
        """The text for one alert. A failure inside becomes the text `<error: …>`, as Prometheus does, never an exception."""
        scope = {"labels": labels, "value": value, "externalLabels": {}, "externalURL": external_url}
        try:
            return "".join(_render(self.parts, scope))
        except (ValueError, TypeError, ArithmeticError, IndexError, re.error, Invalid) as error:
            return f"<error: {error}>"


def compile_template(text: str) -> Template:
    """Reads a template. Raises Invalid that names what is wrong."""
    pieces = _pieces(text)
    parts, rest, ended = _block(pieces, 0)
    if ended:
        raise Invalid(f"{{{{ {ended} }}}} ends no {{{{ if }}}}")
    assert rest == len(pieces)
    return Template(text, parts)


def _pieces(text: str) -> list[str | tuple[str]]:
    """Literal text as str, actions as one-tuples; `{{-` and `-}}` take the white space beside them."""
    found: list[str | tuple[str]] = []
    at, trim = 0, False
    for action in _ACTION.finditer(text):
        before = text[at : action.start()]
        before = before.lstrip() if trim else before
        found.append(before.rstrip() if action[1] else before)
        if not (action[2].startswith("/*") and action[2].endswith("*/")):
            found.append((action[2],))
        at, trim = action.end(), bool(action[3])
    tail = text[at:]
    if "{{" in tail:
        raise Invalid("'{{' is not closed by '}}'")
    found.append(tail.lstrip() if trim else tail)
    return [piece for piece in found if piece]


def _block(pieces: list[str | tuple[str]], at: int) -> tuple[tuple[Any, ...], int, str]:
    """Parts up to an else or end that belongs outside: (parts, position after it, the word that ended it)."""
    parts: list[Any] = []
    while at < len(pieces):
        piece = pieces[at]
        at += 1
        if isinstance(piece, str):
            parts.append(piece)
            continue
        word = piece[0].split(None, 1)[0] if piece[0] else ""
        if word in {"else", "end"}:
            return tuple(parts), at, piece[0]
        if word == "if":
            branch, at = _if(pieces, at, piece[0][2:])
            parts.append(branch)
        else:
            parts.append(_pipeline(piece[0]))
    return tuple(parts), at, ""


def _if(pieces: list[str | tuple[str]], at: int, condition: str) -> tuple[_If, int]:
    branches: list[tuple[_Pipeline | None, tuple[Any, ...]]] = []
    test: _Pipeline | None = _pipeline(condition)
    while True:
        body, at, ended = _block(pieces, at)
        branches.append((test, body))
        if ended == "end":
            return _If(tuple(branches)), at
        if not ended or test is None:
            raise Invalid("{{ if }} is not closed by {{ end }}")
        test = _pipeline(ended[4:].strip().removeprefix("if")) if ended != "else" else None


def _pipeline(text: str) -> _Pipeline:
    tokens = _tokens(text)
    pipeline, rest = _commands(tokens, 0)
    if rest != len(tokens):
        raise Invalid(f"')' closes nothing in {{{{ {text} }}}}")
    return pipeline


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if not found or not found.lastgroup:
            raise Invalid(f"{{{{ {text} }}}} is not understood at {text[at:].strip()[:20]!r}")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        at = found.end()
    if not tokens:
        raise Invalid("{{ }} is empty")
    return tokens


def _commands(tokens: list[tuple[str, str]], at: int) -> tuple[_Pipeline, int]:
    commands: list[tuple[Any, ...]] = []
    operands: list[Any] = []
    while at < len(tokens):
        kind, text = tokens[at]
        if text == ")" and kind == "mark":
            break
        at += 1
        if kind != "mark":
            operands.append(_operand(kind, text))
        elif text == "(":
            inner, at = _commands(tokens, at)
            if at >= len(tokens):
                raise Invalid("'(' is not closed")
            operands.append(inner)
            at += 1
        else:
            commands.append(tuple(operands))
            operands = []
    commands.append(tuple(operands))
    if not all(commands):
        raise Invalid("a command is missing beside '|' or inside '()'")
    return _Pipeline(tuple(commands)), at


def _operand(kind: str, text: str) -> Any:
    if kind == "string":
        return text[1:-1] if text[0] == "`" else _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text[1:-1])
    if kind == "number":
        return float(text) if re.search(r"[.eE]", text) else int(text)
    if text in {"true", "false"}:
        return text == "true"
    if text in FUNCTIONS:
        return _Function(text)
    return _path(text)


def _path(text: str) -> _Path:
    root, *fields = text.split(".")
    if root in {"", "$"}:
        if fields and fields[0] and fields[0] not in _FIELDS:
            raise Invalid(f"{text} is not there; use $labels.NAME or $value")
        name = fields[0] if fields else ""
        return _Path(name[:1].lower() + name[1:] if name else "", tuple(fields[1:]))
    if root in _ROOTS:
        return _Path(root[1:], tuple(fields))
    if root.startswith("$"):
        raise Invalid(f"undefined variable {root}; the variables are {', '.join(sorted(_ROOTS))}")
    raise Invalid(f"function {root!r} is not there; the functions are {', '.join(sorted(FUNCTIONS))}")


def _render(parts: tuple[Any, ...], scope: Mapping[str, Any]) -> list[str]:
    out: list[str] = []
    for part in parts:
        if isinstance(part, str):
            out.append(part)
        elif isinstance(part, _If):
            chosen = next((body for test, body in part.branches if test is None or _value(test, scope)), ())
            out += _render(chosen, scope)
        else:
            out.append(_printed(_value(part, scope)))
    return out


def _value(pipeline: _Pipeline, scope: Mapping[str, Any]) -> Any:
    value: Any = None
    for number, command in enumerate(pipeline.commands):
        head, *rest = command
        operands = [_resolved(one, scope) for one in rest]
        if number:
            operands.append(value)
        if isinstance(head, _Function):
            function: Callable[..., Any] = FUNCTIONS[head.name]
            value = function(*operands)
        elif operands:
            raise ValueError("a value was given arguments")
        else:
            value = _resolved(head, scope)
    return value


def _resolved(operand: Any, scope: Mapping[str, Any]) -> Any:
    if isinstance(operand, _Pipeline):
        return _value(operand, scope)
    if isinstance(operand, _Function):
        return FUNCTIONS[operand.name]()
    if not isinstance(operand, _Path):
        return operand
    value: Any = scope.get(operand.root, scope)
    for name in operand.fields:
        value = value.get(name, "") if isinstance(value, Mapping) else ""
    return value


def _printed(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}" if abs(value) >= 1e21 or (value and abs(value) < 1e-4) else format_number(value)
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{text}" for key, text in sorted(value.items())) + "]"
    return str(value)
