"""Functions of instant vectors and scalars: mathematics, time, labels, sorting."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np

from opsroom.kernel.errors import Invalid
from opsroom.telemetry.port import Labels
from opsroom.telemetry.promql.matchers import compiled, expand
from opsroom.telemetry.promql.source import Floats
from opsroom.telemetry.promql.values import Vector

Groups = Callable[[str, Sequence[str]], list[tuple[str, ...] | None]]
"""As `Source.groups`."""

MATH: dict[str, Callable[[Floats], Floats]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sgn": np.sign,
    "deg": np.degrees,
    "rad": np.radians,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
}

_LABEL_NAME = re.compile(r"[^\x00-\x1f\ufffd]+")


def mathematics(name: str, vector: Vector) -> Vector:
    with np.errstate(all="ignore"):
        return vector.with_values(MATH[name](vector.values)).without_name()


def clamp(vector: Vector, low: Floats | float, high: Floats | float) -> Vector:
    """Between two bounds; nothing at the steps where they are crossed, NaN where one is NaN."""
    with np.errstate(all="ignore"):
        kept = vector.where(np.broadcast_to(~(np.asarray(low) > np.asarray(high)), vector.present.shape))
        values = np.maximum(low, np.minimum(high, kept.values))
    return kept.with_values(values).without_name().nonempty()


def rounded(vector: Vector, to: Floats | float) -> Vector:
    """To the nearest multiple of `to`; ties up."""
    with np.errstate(all="ignore"):
        inverse = 1.0 / np.asarray(to, np.float64)
        return vector.with_values(np.floor(vector.values * inverse + 0.5) / inverse).without_name()


CALENDAR: dict[str, Callable[[Floats], Floats]] = {
    "minute": lambda t: np.floor(t / 60) % 60,
    "hour": lambda t: np.floor(t / 3600) % 24,
    "day_of_week": lambda t: (np.floor(t / 86400) + 4) % 7,
    "day_of_month": lambda t: _calendar(t, lambda m: m.day),
    "day_of_year": lambda t: _calendar(t, lambda m: m.timetuple().tm_yday),
    "days_in_month": lambda t: _calendar(t, _month_length),
    "month": lambda t: _calendar(t, lambda m: m.month),
    "year": lambda t: _calendar(t, lambda m: m.year),
}


def calendar(name: str, vector: Vector) -> Vector:
    """A part of the UTC date that the values, in seconds since the epoch, stand for."""
    return vector.with_values(CALENDAR[name](vector.values)).without_name()


def label_replace(vector: Vector, target: str, template: str, source: str, pattern: str, groups: Groups) -> Vector:
    """Sets `target` where `pattern` matches the whole of `source`; $1, ${name} refer to groups."""
    _check_name("label_replace", target)
    names = compiled(pattern).groupindex
    texts = list(dict.fromkeys(dict(one).get(source, "") for one in vector.labels))
    expanded = {
        text: None if found is None else expand(template, found, names)
        for text, found in zip(texts, groups(pattern, texts), strict=True)
    }
    labels = []
    for one in vector.labels:
        value = expanded[dict(one).get(source, "")]
        labels.append(one if value is None else _set(one, target, value))
    return vector.relabelled(labels)


def label_join(vector: Vector, target: str, separator: str, sources: Sequence[str]) -> Vector:
    """Sets `target` to the values of `sources`, joined."""
    for name in (target, *sources):
        _check_name("label_join", name)
    labels = []
    for one in vector.labels:
        values = dict(one)
        labels.append(_set(one, target, separator.join(values.get(name, "") for name in sources)))
    return vector.relabelled(labels)


def sorted_by_value(vector: Vector, *, descending: bool) -> Vector:
    """By the value at the first step, NaN last."""
    values = vector.values[:, 0]
    order = np.lexsort((-values if descending else values, np.isnan(values)))
    return vector.take(order, ordered=True)


def sorted_by_label(vector: Vector, names: Sequence[str], *, descending: bool) -> Vector:
    """By these labels in natural order (2 before 10), then by all labels."""

    def key(row: int) -> tuple[object, ...]:
        values = dict(vector.labels[row])
        return (*(_natural(values.get(name, "")) for name in names), vector.labels[row])

    order = sorted(range(len(vector.labels)), key=key, reverse=descending)
    return vector.take(np.array(order, np.int64), ordered=True)


def check_label_name(name: str) -> None:
    if not _LABEL_NAME.fullmatch(name):
        raise Invalid(f"invalid label name {name!r}")


def _check_name(function: str, name: str) -> None:
    if not _LABEL_NAME.fullmatch(name):
        raise Invalid(f"invalid label name in {function}(): {name!r}")


def _set(labels: Labels, name: str, value: str) -> Labels:
    kept = {key: text for key, text in labels if key != name}
    if value:
        kept[name] = value
    return tuple(sorted(kept.items()))


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part)


def _calendar(times: Floats, part: Callable[[datetime], int]) -> Floats:
    def one(seconds: float) -> float:
        try:
            return float(part(datetime.fromtimestamp(seconds, UTC)))
        except (ValueError, OverflowError, OSError):
            return float("nan")

    unique, inverse = np.unique(np.floor(times / 86400) * 86400, return_inverse=True)
    return np.array([one(value) for value in unique])[inverse].reshape(times.shape) if times.size else times


def _month_length(moment: datetime) -> int:
    following = moment.replace(year=moment.year + moment.month // 12, month=moment.month % 12 + 1, day=1)
    return (following - moment.replace(day=1)).days
