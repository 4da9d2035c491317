"""Made-up incidents whose cause is known: a series with a step, the change that brought it, and changes and loads around it that did not.

Each case follows from its seed. What is drawn is what a small team sees: noise with outliers, a rate that climbs over its window, versions
deployed before, other services deployed around the step, staging beside production, and load tests that make everything on the
machine slower while they run.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

ZERO = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SERVICE, NEEDED, FURTHER, DEPENDENT, UNRELATED = "storefront", "inventory", "warehouse", "checkout", "newsletter"
READ_EVERY = 1.0
FOR_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Made:
    """Something that happened, in seconds after ZERO. `load`: requests were sent; nothing was changed."""

    name: str
    service: str
    environment: str
    began: float
    ended: float
    deployment: bool = True
    failed: bool = False
    load: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """One incident: what happened, the series an alert watches, when its expression became true, and the name of the cause. `needed` is the
    latency of the service that this one needs, at the same times."""

    cause: str
    made: tuple[Made, ...]
    times: tuple[float, ...]
    values: tuple[float, ...]
    needed: tuple[float, ...]
    onset: float
    fired: float


@dataclass(frozen=True, kw_only=True)
class Bump:
    """The level times `factor` from `start` to `end`."""

    start: float
    end: float
    factor: float


@dataclass(kw_only=True)
class Course:
    """How a level goes: a step by `factor` at `step` that takes `climb` seconds to be seen whole, with noise and bumps."""

    base: float
    factor: float
    step: float
    climb: float
    noise: float
    outliers: float = 0.01
    bumps: list[Bump] = field(default_factory=list)

    def at(self, time: float, draw: random.Random) -> float:
        level = self.base
        gone = 0.0 if time < self.step else min(1.0, (time - self.step + 0.5) / max(self.climb, 0.5))
        level *= 1 + (self.factor - 1) * gone
        level *= max((bump.factor for bump in self.bumps if bump.start <= time < bump.end), default=1.0)
        if draw.random() < self.outliers:
            level *= draw.uniform(1.3, 3.0)
        return max(0.0, level * draw.gauss(1.0, self.noise))


def case(seed: int) -> Case:
    """The incident of a seed."""
    draw = random.Random(seed)
    step = draw.uniform(60, 560)
    cause = _cause(draw, step)
    loads = _loads(draw, cause)
    course = Course(
        base=draw.choice([0.02, 0.05, 0.4, 12.0]), factor=draw.uniform(2.5, 10), step=step,
        climb=draw.choice([0.0, 2.0, 10.0, 30.0]), noise=draw.uniform(0.01, 0.12),
        outliers=draw.choice([0.0, 0.01, 0.03]), bumps=[_bump(draw, load) for load in loads],
    )  # fmt: skip
    times, values, onset = _watched(course, draw)
    fired = times[-1]
    made = [cause, *loads, *_before(draw, cause), *_around(draw, cause, fired)]
    return Case(
        cause=cause.name, made=tuple(one for one in made if one.began <= fired), times=times, values=values,
        needed=_needed(draw, course, cause, times), onset=onset, fired=fired,
    )  # fmt: skip


def _needed(draw: random.Random, course: Course, cause: Made, times: Sequence[float]) -> tuple[float, ...]:
    """The service that is needed is slow where its own change is the cause, at times because it is asked for more, and level otherwise."""
    factor = course.factor if cause.service == NEEDED else draw.choice([1.0, 1.0, 2.0])
    own = replace(course, base=course.base / 4, factor=factor)
    return tuple(own.at(time, draw) for time in times)


def moment(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


def _cause(draw: random.Random, step: float) -> Made:
    """The change that brought the step: traffic is switched somewhere between its beginning and its end."""
    takes = draw.uniform(2, 14)
    into = draw.uniform(0.2, 1.0) * takes
    service = draw.choices([SERVICE, NEEDED], [8, 2])[0]
    return Made(name="cause", service=service, environment="production", began=step - into, ended=step - into + takes)


def _loads(draw: random.Random, cause: Made) -> list[Made]:
    """Load tests in staging: that of the pipeline which brought the cause, right before it, and others."""
    found = []
    if draw.random() < 0.7:
        end = cause.began - draw.uniform(0, 5)
        begin = end - draw.uniform(2, 20)
        found.append(
            Made(name="load before", service=SERVICE, environment="staging", began=begin, ended=end, load=True)
        )
    for number in range(draw.choice([0, 0, 1, 2])):
        begin = draw.uniform(max(0.0, cause.began - 240), cause.ended)
        end = begin + draw.uniform(2, 20)
        found.append(Made(name=f"load {number}", service=draw.choice([SERVICE, NEEDED]), environment="staging",
                          began=begin, ended=end, load=True))  # fmt: skip
    return [Made(**{**vars(one), "deployment": False}) for one in found]


def _bump(draw: random.Random, load: Made) -> Bump:
    """A busy machine is slower for all; it stays so for a moment."""
    return Bump(start=load.began, end=load.ended + draw.uniform(0, 4), factor=draw.uniform(1.0, 1.9))


def _watched(course: Course, draw: random.Random) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Samples until the alert fires: its expression is true for FOR_SECONDS on end, half way up."""
    limit = course.base * (1 + course.factor) / 2
    times: list[float] = []
    values: list[float] = []
    since: float | None = None
    time = draw.uniform(0, 1)
    while time < course.step + 120:
        times.append(time)
        values.append(course.at(time, draw))
        since = (since if since is not None else time) if values[-1] > limit else None
        if since is not None and time - since >= FOR_SECONDS and time > course.step:
            return tuple(times), tuple(values), since
        time += READ_EVERY
    raise AssertionError("the step never crosses its limit")


def _before(draw: random.Random, cause: Made) -> list[Made]:
    """What went well before: versions of the same service and of others, in staging first."""
    found = []
    for number in range(draw.choice([0, 1, 1, 2, 3])):
        ended = cause.began - draw.uniform(8, 400)
        service = draw.choices([SERVICE, NEEDED, FURTHER, UNRELATED], [6, 3, 1, 1])[0]
        found.append(_deployment(draw, f"good {number}", service, "production", ended))
    found.append(_deployment(draw, "cause in staging", cause.service, "staging", cause.began - draw.uniform(6, 40)))
    return found


def _around(draw: random.Random, cause: Made, fired: float) -> list[Made]:
    """What happened near the step and has nothing to do with it."""
    found = []
    for number in range(draw.choice([0, 1, 1, 2])):
        began = draw.uniform(cause.ended + 1, max(cause.ended + 2, fired))
        service = draw.choice(
            [NEEDED, FURTHER, DEPENDENT, UNRELATED] if cause.service == SERVICE else [FURTHER, UNRELATED]
        )
        takes = draw.uniform(1, 12)
        found.append(
            Made(name=f"later {number}", service=service, environment="production", began=began, ended=began + takes)
        )
    if draw.random() < 0.3:
        found.append(_deployment(draw, "elsewhere", SERVICE, "staging", cause.began - draw.uniform(0, 10)))
    if draw.random() < 0.2:
        failed = _deployment(draw, "failed", SERVICE, "production", cause.began - draw.uniform(5, 200))
        found.append(Made(**{**vars(failed), "failed": True}))
    return found


def _deployment(draw: random.Random, name: str, service: str, environment: str, ended: float) -> Made:
    return Made(name=name, service=service, environment=environment, began=ended - draw.uniform(1, 12), ended=ended)


def share_right(cases: Sequence[Case], first: Sequence[str]) -> float:
    """How often the first suspect is the cause."""
    return sum(one.cause == name for one, name in zip(cases, first, strict=True)) / len(cases)
