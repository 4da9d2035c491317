"""The expression language of workflows (GitHub Actions): read, checked, evaluated."""

from opsroom.workflows.expressions.checks import check, check_text, references, references_in
from opsroom.workflows.expressions.conditions import Status, condition, status_functions, with_implicit_success
from opsroom.workflows.expressions.errors import ExpressionError, Flaw
from opsroom.workflows.expressions.evaluate import EXPRESSION_BYTES, TEMPLATE_BYTES, Function, Functions, evaluate
from opsroom.workflows.expressions.templates import as_expression, expressions_in, interpolate, parts, resolve
from opsroom.workflows.expressions.values import Kind, Value, equal, fold, kind, to_number, to_text, truthy

__all__ = [
    "EXPRESSION_BYTES",
    "TEMPLATE_BYTES",
    "ExpressionError",
    "Flaw",
    "Function",
    "Functions",
    "Kind",
    "Status",
    "Value",
    "as_expression",
    "check",
    "check_text",
    "condition",
    "equal",
    "evaluate",
    "expressions_in",
    "fold",
    "interpolate",
    "kind",
    "parts",
    "references",
    "references_in",
    "resolve",
    "status_functions",
    "to_number",
    "to_text",
    "truthy",
    "with_implicit_success",
]
