"""Binary operators: arithmetic, comparison and sets, between scalars and vectors, with vector matching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from opsroom.kernel.errors import Invalid
from opsroom.telemetry.port import Labels
from opsroom.telemetry.promql.source import Bools, Floats, Ints
from opsroom.telemetry.promql.values import Scalar, Vector, empty_vector, merged, only, without

ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARISON: dict[str, Callable[[Floats, Floats], Bools]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
SETS = ("and", "or", "unless")


@dataclass(frozen=True, slots=True)
class Matching:
    """How two vectors are matched. `many` is the side that may have several: "left", "right" or "" for neither."""

    names: tuple[str, ...] = ()
    on: bool = False
    many: str = ""
    include: tuple[str, ...] = ()
    fill_left: float | None = None
    fill_right: float | None = None

    def signature(self, labels: Labels) -> Labels:
        return only(labels, self.names) if self.on else without(labels, (*self.names, "__name__"))


def scalars(op: str, left: Scalar, right: Scalar) -> Scalar:
    """Between scalars a comparison always gives 0 or 1."""
    with np.errstate(all="ignore"):
        if op in ARITHMETIC:
            return Scalar(ARITHMETIC[op](left.values, right.values))
        return Scalar(COMPARISON[op](left.values, right.values).astype(np.float64))


def vector_scalar(op: str, vector: Vector, scalar: Scalar, *, swapped: bool, as_bool: bool) -> Vector:
    """A vector against one number per step; `swapped`: the number stood on the left. A filter keeps the vector's values."""
    sides = (scalar.values, vector.values) if swapped else (vector.values, scalar.values)
    with np.errstate(all="ignore"):
        if op in ARITHMETIC:
            return vector.with_values(ARITHMETIC[op](*sides)).without_name()
        holds = COMPARISON[op](*sides)
    return vector.with_values(holds.astype(np.float64)).without_name() if as_bool else vector.where(holds).nonempty()


def vectors(op: str, left: Vector, right: Vector, matching: Matching, *, as_bool: bool) -> Vector:
    """Arithmetic or comparison between matched series. Ambiguous matches are Invalid and name the labels."""
    if matching.fill_left is not None or matching.fill_right is not None:
        left, right = _filled(left, right, matching)
    many, one = (right, left) if matching.many == "right" else (left, right)
    both = np.logical_and(left.present.any(axis=0), right.present.any(axis=0))
    many_rows, one_rows = _pairs(many, one, matching, both)
    if not len(many_rows):
        return empty_vector(left.values.shape[1])
    present = many.present[many_rows] & one.present[one_rows]
    if not matching.many:
        _only_one(many, many_rows, present, matching)
    left_values, right_values = many.values[many_rows], one.values[one_rows]
    if matching.many == "right":
        left_values, right_values = right_values, left_values
    with np.errstate(all="ignore"):
        if op in ARITHMETIC:
            values = ARITHMETIC[op](left_values, right_values)
        else:
            holds = COMPARISON[op](left_values, right_values)
            values = holds.astype(np.float64) if as_bool else left_values
            present = present if as_bool else present & holds
    drop_name = op in ARITHMETIC or as_bool
    labels = [
        _result_labels(many.labels[m], one.labels[o], matching, drop_name)
        for m, o in zip(many_rows, one_rows, strict=True)
    ]
    found = Vector(labels, np.where(present, values, np.nan), present).nonempty()
    return merged(found, "multiple matches for labels: grouping labels must ensure unique matches")


def sets(op: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    """and, unless: the left side's points with, without a match; or: the left's, and the right's without a match."""
    if op == "or":
        extra = right.where(~_seen(right, left, matching)).nonempty()
        return merged(
            Vector(
                left.labels + extra.labels,
                np.concatenate((left.values, extra.values)),
                np.concatenate((left.present, extra.present)),
            )
        )
    seen = _seen(left, right, matching)
    return left.where(seen if op == "and" else ~seen).nonempty()


def _seen(of: Vector, among: Vector, matching: Matching) -> Bools:
    """For each point of `of` whether `among` has any point with the same signature at that step."""
    steps = of.values.shape[1]
    by_signature: dict[Labels, Bools] = {}
    for row, labels in enumerate(among.labels):
        key = matching.signature(labels)
        by_signature[key] = by_signature.get(key, np.zeros(steps, bool)) | among.present[row]
    nowhere = np.zeros(steps, bool)
    if not of.labels:
        return np.zeros((0, steps), bool)
    return np.stack([by_signature.get(matching.signature(labels), nowhere) for labels in of.labels])


def _pairs(many: Vector, one: Vector, matching: Matching, both: Bools) -> tuple[Ints, Ints]:
    """All (many row, one row) with the same signature. Two rows of the one side at one step are Invalid."""
    by_signature: dict[Labels, list[int]] = {}
    for row, labels in enumerate(one.labels):
        by_signature.setdefault(matching.signature(labels), []).append(row)
    for signature, rows in by_signature.items():
        if len(rows) > 1 and (one.present[rows][:, both].sum(axis=0) > 1).any():
            side = "left" if matching.many == "right" else "right"
            raise Invalid(
                f"found duplicate series for the match group {_show(signature)} on the {side} hand-side of the operation: "
                f"[{_show(one.labels[rows[0]])}, {_show(one.labels[rows[1]])}];"
                "many-to-many matching not allowed: matching labels must be unique on one side"
            )
    pairs = [
        (row, other)
        for row, labels in enumerate(many.labels)
        for other in by_signature.get(matching.signature(labels), ())
    ]
    matched = np.array(pairs, np.int64).reshape(-1, 2)
    return matched[:, 0], matched[:, 1]


def _only_one(left: Vector, rows: Ints, present: Bools, matching: Matching) -> None:
    """One-to-one: several left series of one signature matched at one step are Invalid."""
    by_signature: dict[Labels, list[int]] = {}
    for pair, row in enumerate(rows):
        by_signature.setdefault(matching.signature(left.labels[row]), []).append(pair)
    for pairs in by_signature.values():
        if len(pairs) > 1 and (present[pairs].sum(axis=0) > 1).any():
            raise Invalid("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")


def _result_labels(many: Labels, one: Labels, matching: Matching, drop_name: bool) -> Labels:
    if not matching.many:
        kept = only(many, matching.names) if matching.on else without(many, matching.names)
        return without(kept, ("__name__",)) if drop_name else kept
    kept = without(many, (*matching.include, *(("__name__",) if drop_name else ())))
    return tuple(sorted((*kept, *only(one, matching.include))))


def _filled(left: Vector, right: Vector, matching: Matching) -> tuple[Vector, Vector]:
    """fill_left, fill_right: a series of the other side without a match meets the fill value."""
    add_left = _fill(left, right, matching, matching.fill_left)
    add_right = _fill(right, left, matching, matching.fill_right)
    return _joined(left, add_left), _joined(right, add_right)


def _fill(side: Vector, other: Vector, matching: Matching, value: float | None) -> Vector:
    if value is None or not other.labels:
        return empty_vector(side.values.shape[1])
    lonely = other.present & ~_seen(other, side, matching)
    by_signature: dict[Labels, Bools] = {}
    for row, labels in enumerate(other.labels):
        key = matching.signature(labels)
        by_signature[key] = by_signature.get(key, np.zeros(lonely.shape[1], bool)) | lonely[row]
    present = np.stack(list(by_signature.values()))
    return Vector(list(by_signature), np.where(present, value, np.nan), present).nonempty()


def _joined(a: Vector, b: Vector) -> Vector:
    return Vector(a.labels + b.labels, np.concatenate((a.values, b.values)), np.concatenate((a.present, b.present)))


def _show(labels: Labels) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"
