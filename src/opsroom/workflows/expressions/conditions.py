"""`if:` decided: the implicit `success() &&`, and what the status functions answer.

Source of the rules: GitHub Docs, "Evaluate expressions in workflows and actions", section Status check functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opsroom.workflows.expressions.checks import check
from opsroom.workflows.expressions.errors import ExpressionError
from opsroom.workflows.expressions.evaluate import TEMPLATE_BYTES, Function, Functions, evaluate
from opsroom.workflows.expressions.names import STATUS_FUNCTIONS
from opsroom.workflows.expressions.parser import FUNCTION, parse
from opsroom.workflows.expressions.templates import as_expression
from opsroom.workflows.expressions.values import Value, lookup, truthy
from opsroom.workflows.protocol import Outcome

Status = Outcome
"""How things stand before the condition: of a step, its job so far; of a job, the jobs it needs ("skipped": one was)."""


def condition(
    text: str,
    contexts: Mapping[str, Value],
    *,
    status: Status,
    functions: Functions | None = None,
    allowed: Iterable[str] | None = None,
) -> bool:
    """Whether a step or job runs. `text` is the `if:`, with or without `${{ }}`; empty means `success()`.

    `success()` without arguments asks `status`; with names, it asks the results of those jobs in the `needs` context.
    Error: ExpressionError.
    """
    expression = _unwrapped(text) or "success()"
    added = {**(functions or {}), **status_functions(status, contexts)}
    if status != "success" and not calls_status(expression):
        names = contexts if allowed is None else allowed
        for flaw in check(expression, allowed_contexts=names, allowed_functions=added):
            raise ExpressionError(flaw)
        return False
    return truthy(evaluate(expression, contexts, functions=added, allowed=allowed, max_bytes=TEMPLATE_BYTES))


def with_implicit_success(text: str) -> str:
    """The whole condition as one expression: `success() && (text)`, unless a status function is called in it.

    Error: ExpressionError where an expression in `${{ }}` is not closed, or empty.
    """
    expression = _unwrapped(text)
    if not expression:
        return "success()"
    return expression if calls_status(expression) else f"success() && ({expression})"


def calls_status(expression: str) -> bool:
    """Whether an expression calls success, failure, cancelled or always. One that cannot be read does so as far as it was read."""
    return any(one.arguments == FUNCTION and one.name in STATUS_FUNCTIONS for one in parse(expression).mentions)


def status_functions(status: Status, contexts: Mapping[str, Value]) -> dict[str, Function]:
    """The four status functions for this status."""
    needs = contexts.get("needs")

    def results(jobs: tuple[Value, ...]) -> list[Value]:
        if not jobs:
            return [status]
        found = [lookup(needs, str(job)) if isinstance(needs, Mapping) else None for job in jobs]
        return [one.get("result") if isinstance(one, Mapping) else None for one in found]

    return {
        "always": Function(call=lambda: True, most=0),
        "cancelled": Function(call=lambda: status == "cancelled", most=0),
        "success": Function(call=lambda *jobs: all(one == "success" for one in results(jobs))),
        "failure": Function(call=lambda *jobs: any(one == "failure" for one in results(jobs))),
    }


def _unwrapped(text: str) -> str:
    return (as_expression(text.strip()) or text).strip()
