"""`opsroom expression`: one expression of the workflow language evaluated, or many, one a line.

The answer is one line of JSON: `{"kind", "value"}`, or `{"error": {"kind", "message"}}` where the kind is lexing, parsing,
evaluation, or input (the question itself could not be read). NaN and the infinities are the strings "NaN", "Infinity" and
"-Infinity", since JSON has no such numbers; their kind is Number.
"""

from __future__ import annotations

import json
import math
import sys
from typing import IO, Any

import click

from opsroom.kernel.errors import Invalid, UserError


@click.command("expression", context_settings={"ignore_unknown_options": True})
@click.argument("expression", metavar="EXPR", required=False)
@click.option(
    "--contexts",
    "contexts",
    type=click.File("rb"),
    help="JSON file of the contexts by name; - reads it from standard input.",
)
@click.option(
    "--batch", is_flag=True, help='Read lines {"expr", "contexts"} from standard input, answer one line each.'
)
def expression(expression: str | None, contexts: IO[bytes] | None, batch: bool) -> None:
    """Evaluate EXPR, an expression of the workflow language without ${{ }}.

    Prints {"kind", "value"}, or {"error": {"kind", "message"}} with exit status 1. With --batch the status is 0: each line has
    its own answer.
    """
    if batch:
        if expression is not None or contexts is not None:
            raise click.UsageError(
                '--batch takes expressions and contexts from its lines; leave out EXPR and "--contexts"'
            )
        _answer_lines(sys.stdin.buffer)
        return
    if expression is None:
        raise click.UsageError("give an expression, or --batch to read them from standard input")
    try:
        answer = _answer(expression, _contexts(contexts) if contexts else {})
    except UserError as error:
        click.echo(_line(_refusal(error)))
        click.echo(f"Error: {error}", err=True)
        click.get_current_context().exit(1)
    click.echo(_line(answer))


def _answer_lines(lines: IO[bytes]) -> None:
    for number, line in enumerate(lines, start=1):
        try:
            question = _question(line, f"line {number}")
            answer = _answer(question["expr"], question.get("contexts") or {})
        except UserError as error:
            answer = _refusal(error)
        click.echo(_line(answer))


def _question(line: bytes, where: str) -> dict[str, Any]:
    question = _object(line, where)
    if not isinstance(question.get("expr"), str):
        raise Invalid(f'{where}: "expr" is missing or no string; write {{"expr": "1 == 1", "contexts": {{}}}}')
    if not isinstance(question.get("contexts"), (dict, type(None))):
        raise Invalid(f'{where}: "contexts" is no object; write the contexts by name')
    return question


def _contexts(file: IO[bytes]) -> dict[str, Any]:
    return _object(file.read(), str(getattr(file, "name", "standard input")))


def _object(data: bytes, where: str) -> dict[str, Any]:
    try:
        read = json.loads(data)
    except UnicodeDecodeError:
        raise Invalid(f"{where}: not UTF-8; write JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        raise Invalid(f"{where}: not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Invalid(f"{where}: nested too deep; a few hundred levels can be read") from None
    except ValueError:
        raise Invalid(f"{where}: holds a number of too many digits; write it as a string") from None
    if not isinstance(read, dict):
        raise Invalid(f"{where}: no JSON object; write {{…}}")
    return read


def _answer(text: str, contexts: dict[str, Any]) -> dict[str, Any]:
    from opsroom.workflows.expressions import evaluate, kind

    value = evaluate(text, contexts)
    try:
        return {"kind": kind(value), "value": _json(value)}
    except RecursionError:
        raise Invalid("the value is nested too deep to print; ask for a part of it") from None


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _json(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_json(member) for member in value]
    return value


def _refusal(error: UserError) -> dict[str, Any]:
    from opsroom.workflows.expressions import ExpressionError

    if isinstance(error, ExpressionError):
        return {"error": {"kind": error.kind, "message": error.message}}
    return {"error": {"kind": "input", "message": str(error)}}


def _line(answer: dict[str, Any]) -> str:
    return json.dumps(answer, allow_nan=False)
