"""From text to a syntax tree, with every fault as one line that shows the expression."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import promql_parser

from opsroom.kernel.errors import Invalid
from opsroom.telemetry.port import Labels
from opsroom.telemetry.promql.faults import NO_GRAMMAR, first_fault
from opsroom.telemetry.promql.matchers import Alternatives, Matcher

_OPS = (
    (promql_parser.MatchOp.Equal, "="),
    (promql_parser.MatchOp.NotEqual, "!="),
    (promql_parser.MatchOp.Re, "=~"),
    (promql_parser.MatchOp.NotRe, "!~"),
)
_LONGEST_SHOWN = 200


def parse(text: str) -> Any:
    """The tree of promql-parser. Raises Invalid, which shows the expression and, for a fault of its grammar, where it is."""
    if not text.strip():
        raise Invalid("PromQL: the expression is empty; write one such as up == 0")
    try:
        return promql_parser.parse(text)
    except ValueError as error:
        reason = " ".join(str(error).split()) or "not understood"
        if reason.startswith((NO_GRAMMAR, "unexpected right")):
            reason = first_fault(text)
        raise Invalid(f"PromQL {shown(text)}: {reason}") from None


def parse_selector(text: str) -> Alternatives:
    """The matchers of a bare series selector such as up{job="x"}; anything else is Invalid."""
    tree = parse(text)
    if not isinstance(tree, promql_parser.VectorSelector) or tree.offset is not None or tree.at is not None:
        raise Invalid(f'PromQL {shown(text)}: expected a bare series selector such as up{{job="api"}}')
    return matchers(tree)


def matchers(selector: Any) -> Alternatives:
    """The selector's matchers, its metric name among them. One that matches everything is Invalid."""
    named = (Matcher("__name__", "=", selector.name),) if selector.name else ()
    groups = selector.matchers.or_matchers or [selector.matchers.matchers]
    common = selector.matchers.matchers if selector.matchers.or_matchers else []
    return tuple(
        named + tuple(Matcher(m.name, _operator(m.op), m.value) for m in [*common, *group]) for group in groups
    )


def absent_labels(node: Any) -> Labels:
    """The labels that absent() gives: those that the selector fixes by one equality."""
    while isinstance(node, promql_parser.ParenExpr):
        node = node.expr
    selector = node.vector_selector if isinstance(node, promql_parser.MatrixSelector) else node
    if not isinstance(selector, promql_parser.VectorSelector) or selector.matchers.or_matchers:
        return ()
    seen: dict[str, str] = {}
    ambiguous = set()
    for matcher in matchers(selector)[0]:
        if matcher.op != "=" or matcher.name in seen:
            ambiguous.add(matcher.name)
        seen.setdefault(matcher.name, matcher.value)
    return tuple(
        sorted((name, value) for name, value in seen.items() if name not in ambiguous and name != "__name__" and value)
    )


def milliseconds(duration: timedelta | None) -> int:
    return 0 if duration is None else duration // timedelta(milliseconds=1)


def shown(text: str) -> str:
    """The expression on one line, cut where it is long."""
    line = re.sub(r"\s+", " ", text.strip())
    return f"`{line[:_LONGEST_SHOWN]}…`" if len(line) > _LONGEST_SHOWN else f"`{line}`"


def _operator(of: Any) -> str:
    return next(text for known, text in _OPS if known == of)
