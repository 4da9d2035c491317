"""A matrix becomes combinations: the product of its lists, less `exclude`, plus `include`.

Source: `jobs.<job_id>.strategy.matrix` of "Workflow syntax for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from opsroom.kernel.errors import Invalid
from opsroom.workflows.expressions import equal, resolve, to_text
from opsroom.workflows.expressions.values import MISSING, item, lookup

MAX_COMBINATIONS = 256
_MAX_PRODUCT = 100_000


class BadMatrix(Invalid):
    """The matrix is not one, has no combination or too many."""

    title = "Bad matrix"


@dataclass(frozen=True, slots=True)
class Combination:
    """`values` are what the `matrix` context holds; `label` is what follows the job's name, such as "ubuntu, 3.11"."""

    values: Mapping[str, Any]
    label: str


def expand_matrix(raw: Any, contexts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The combinations of a raw matrix in GitHub's order; `[{}]` for None. BadMatrix or ExpressionError where it cannot be."""
    return [dict(combination.values) for combination in combinations(raw, contexts)]


def combinations(raw: Any, contexts: Mapping[str, Any]) -> list[Combination]:
    """As `expand_matrix`, with the labels. An empty matrix (None) is one combination without values."""
    if raw is None:
        return [Combination({}, "")]
    matrix = _resolved(raw, contexts)
    include = _filters(matrix.pop("include", None), "include")
    exclude = _filters(matrix.pop("exclude", None), "exclude")
    vectors = {name: _vector(name, values) for name, values in matrix.items()}
    if not vectors and not include:
        raise BadMatrix("the matrix has no values; add a list, such as 'version: [1, 2]', or 'include:'")
    kept = [values for values in _product(vectors) if not any(_agrees(entry, values) for entry in exclude)]
    found = [_with_include(values, include, vectors) for values in kept]
    found += [
        Combination(dict(entry), _label(entry))
        for entry in include
        if not vectors or not any(_agrees(_of(entry, vectors), values) for values in kept)
    ]
    if not found:
        raise BadMatrix("the matrix excludes every combination; take an 'exclude:' away")
    if len(found) > MAX_COMBINATIONS:
        raise BadMatrix(f"the matrix makes {len(found):,} jobs, the limit is {MAX_COMBINATIONS}; use shorter lists")
    return found


def _resolved(raw: Any, contexts: Mapping[str, Any]) -> dict[str, Any]:
    value = resolve(raw, contexts)
    if not isinstance(value, Mapping):
        raise BadMatrix(f"the matrix is {_shown(value)}, not a mapping of lists")
    return dict(value)


def _filters(value: Any, name: str) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise BadMatrix(f"'{name}' of the matrix is {_shown(value)}, not a list of mappings")
    return value


def _vector(name: str, values: Any) -> list[Any]:
    if not isinstance(values, list):
        raise BadMatrix(f"{name!r} of the matrix is {_shown(values)}, not a list")
    if not values:
        raise BadMatrix(f"the list {name!r} of the matrix is empty; give it at least one value")
    return values


def _product(vectors: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    if not vectors:
        return
    size = 1
    for values in vectors.values():
        size *= len(values)
    if size > _MAX_PRODUCT:
        raise BadMatrix(f"the matrix makes {size:,} jobs, the limit is {MAX_COMBINATIONS}; use shorter lists")
    for chosen in product(*vectors.values()):
        yield dict(zip(vectors, chosen, strict=True))


def _with_include(values: dict[str, Any], include: list[Mapping[str, Any]], vectors: Mapping[str, Any]) -> Combination:
    """What an include adds never overwrites a list's value, and overwrites what an earlier include added."""
    whole = dict(values)
    for entry in include:
        if _agrees(_of(entry, vectors), values):
            whole.update({key: value for key, value in entry.items() if key not in vectors})
    return Combination(whole, _label(values))


def _of(entry: Mapping[str, Any], vectors: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key in vectors}


def _agrees(wanted: Any, value: Any) -> bool:
    """Whether all that is written in `wanted` stands in `value` too, compared as expressions compare."""
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(
            (found := lookup(value, key)) is not MISSING and _agrees(part, found) for key, part in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(value, list) and all(
            (found := item(value, index)) is not MISSING and _agrees(part, found) for index, part in enumerate(wanted)
        )
    return not isinstance(value, Mapping | list) and equal(wanted, value)


def _label(values: Any) -> str:
    return ", ".join(_leaves(values))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _leaves(part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part)
    elif text := to_text(value):
        yield text


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)
