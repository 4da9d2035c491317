"""Every published case of the expression language: kind and value, or the kind and the words of the error."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opsroom.workflows.expressions import ExpressionError, evaluate, kind

Case = dict[str, Any]

# The case gives the position within a part of the expression.
LOOSELY_WORDED = {"false && nonExistentFunction()"}


def test_every_published_case_gives_the_published_answer(conformance: Path) -> None:
    counted: Counter[str] = Counter()
    wrong: list[str] = []
    for where, case in cases(conformance / "github-actions" / "expressions"):
        counted["err" if "err" in case else "result"] += 1
        if problem := disagreement(case):
            wrong.append(f"{where} {case['expr'][:200]!r}: {problem}")
    assert not wrong, "\n".join(wrong)
    assert counted == {"result": 940, "err": 80}


def cases(folder: Path) -> Iterator[tuple[str, Case]]:
    for file in sorted(folder.glob("*.json")):
        for group, members in json.loads(file.read_text("utf-8")).items():
            for case in members:
                yield f"{file.name}/{group}", case


def disagreement(case: Case) -> str:
    """What is different from what the case expects, empty where nothing is."""
    try:
        value = evaluate(case["expr"], case.get("contexts", {}))
    except ExpressionError as error:
        expected = case.get("err")
        if expected is None:
            return f"error: {error}"
        if error.kind != expected["kind"]:
            return f"{error.kind} error instead of {expected['kind']}: {error}"
        if expected["value"] not in error.message and case["expr"] not in LOOSELY_WORDED:
            return f"says {error.message!r} instead of {expected['value']!r}"
        return ""
    if "result" not in case:
        return f"gives {value!r} instead of an error"
    expected = case["result"]
    if kind(value) != expected["kind"] or not same(value, expected["value"]):
        return f"gives {kind(value)} {value!r} instead of {expected['kind']} {expected['value']!r}"
    return ""


def same(left: Any, right: Any) -> bool:
    if kind(left) != kind(right):
        return False
    if kind(left) == "Number":
        one, other = float(left), float(right)
        return one == other or (math.isnan(one) and math.isnan(other))
    if kind(left) == "Array":
        return len(left) == len(right) and all(map(same, left, right))
    if kind(left) == "Object":
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return bool(left == right)
