"""Scraping: asks targets for their metrics at their interval, and writes what they expose with the target's labels."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from opsroom.kernel.clock import Clock
from opsroom.kernel.errors import UserError
from opsroom.kernel.journal import Journal
from opsroom.telemetry.exposition import Exposed, Parser
from opsroom.telemetry.fetch import Fetched, FetchFailed, fetch
from opsroom.telemetry.port import STALE, Labels, Metadata, Refusal, Sample, Telemetry, labels

BODY_BYTES = 10_000_000
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One thing to scrape. `labels` are put on every series (job, instance, service, environment, …); times in seconds.

    `report` are the labels of `up` and its kin (default: `labels`): fewer of them let those series outlive a change of version.
    A scrape with more than `sample_limit` samples fails (0: no limit). `supplied`: a person wrote its address, and where it may lead is
    guarded."""

    url: str
    labels: Labels
    interval: float = 5.0
    timeout: float = 4.0
    report: Labels = ()
    sample_limit: int = 0
    supplied: bool = False

    @property
    def key(self) -> tuple[str, Labels]:
        return self.url, self.labels


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetState:
    """How the last scrape went. `health`: unknown before the first; `error` is one line; `scraped` in epoch seconds."""

    target: Target
    health: str = "unknown"
    error: str = ""
    scraped: float = 0.0
    seconds: float = 0.0
    samples: int = 0
    refused: tuple[Refusal, ...] = ()


@dataclass(slots=True)
class _Follow:
    """What is kept of one target between scrapes."""

    state: TargetState
    parser: Parser = field(default_factory=Parser)
    alive: set[Labels] = field(default_factory=set)
    due: float = 0.0
    busy: bool = False


class Scraper:
    """Scrapes the targets that `targets()` names at the moment. `changed(state)` is told when a target goes up or down.

    A target that is named no more, fails, or stops exposing a series has its series marked stale at that time.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        targets: Callable[[], Sequence[Target]],
        clock: Clock,
        journal: Journal,
        *,
        changed: Callable[[TargetState], None] = lambda state: None,
        get: Callable[[Target], Fetched] = lambda target: fetch(target.url, timeout=target.timeout, limit=BODY_BYTES),
        workers: int = 16,
    ) -> None:
        self._telemetry, self._targets, self._clock, self._journal = telemetry, targets, clock, journal
        self._changed, self._get = changed, get
        self._follows: dict[tuple[str, Labels], _Follow] = {}
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="scrape")
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scraper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends scraping; what is under way finishes. Series are not marked stale: another server will go on."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def states(self) -> tuple[TargetState, ...]:
        """The targets and their last scrapes, by URL."""
        return tuple(sorted((f.state for f in list(self._follows.values())), key=lambda s: s.target.key))

    def round(self) -> None:
        """Scrapes every target once, now, and drops those that are gone: the loop's work without its waiting."""
        self._refresh()
        for follow in list(self._follows.values()):
            self._scrape(follow)

    def tick(self) -> float:
        """Begins every scrape that is due, waits for none, and returns the seconds until it should be called again."""
        try:
            self._refresh()
        except UserError as error:
            self._journal.warning("scraping: the targets are not known", reason=str(error))
        now = time.monotonic()
        for follow in list(self._follows.values()):
            if not follow.busy and follow.due <= now:
                follow.busy = True
                following = follow.due + follow.state.target.interval
                follow.due = following if following > now else now + follow.state.target.interval
                self._pool.submit(self._guarded, follow)
        return min([_LOOK_SECONDS, *(max(0.01, f.due - now) for f in self._follows.values())])

    def _run(self) -> None:
        while not self._closing.is_set():
            self._closing.wait(self.tick())

    def _refresh(self) -> None:
        wanted = {target.key: target for target in self._targets()}
        for key in [key for key in self._follows if key not in wanted]:
            self._end(self._follows.pop(key), wanted.values())
        for key, target in wanted.items():
            follow = self._follows.setdefault(key, _Follow(TargetState(target=target)))
            if follow.state.target != target:
                follow.state = replace(follow.state, target=target)

    def _guarded(self, follow: _Follow) -> None:
        try:
            self._scrape(follow)
        except Exception as error:  # one target's bug must not end the others' scrapes
            self._journal.error("a scrape failed", bug=error, url=follow.state.target.url)
        finally:
            follow.busy = False

    def _scrape(self, follow: _Follow) -> None:
        target, at, began = follow.state.target, self._now(), time.monotonic()
        exposed: Sequence[Exposed] = ()
        error = ""
        try:
            answer = self._get(target)
            exposition = follow.parser.parse(answer.body, answer.content_type)
            if target.sample_limit and len(exposition.samples) > target.sample_limit:
                raise FetchFailed(f"exposed {len(exposition.samples):,} samples, the limit is {target.sample_limit:,}")
            exposed = exposition.samples
            self._describe(exposition.metadata)
        except (FetchFailed, UserError) as failure:
            error = str(failure)
        seconds = time.monotonic() - began
        samples, alive = _labelled(target, exposed, at)
        report = _report(target, at, up=not error, seconds=seconds, count=len(exposed))
        gone = [Sample(of, at, STALE) for of in follow.alive - alive - {one.labels for one in report}]
        refused = self._write([*samples, *gone, *report])
        follow.alive = alive | {one.labels for one in report}
        if self._follows.get(target.key) is not follow:  # dropped while it was being scraped
            self._end(follow, [other.state.target for other in list(self._follows.values())])
        self._tell(follow, TargetState(
            target=target, health="down" if error else "up", error=error, scraped=at, seconds=seconds,
            samples=len(exposed), refused=refused,
        ))  # fmt: skip

    def _tell(self, follow: _Follow, state: TargetState) -> None:
        before, follow.state = follow.state, state
        if before.health != state.health:
            self._changed(state)

    def _end(self, follow: _Follow, others: Iterable[Target]) -> None:
        """Marks the series of a target that is no more as stale, but for those that another one goes on with."""
        kept = {one.labels for other in others for one in _report(other, 0.0, up=True, seconds=0.0, count=0)}
        self._write([Sample(of, self._now(), STALE) for of in follow.alive - kept])

    def _describe(self, items: Sequence[Metadata]) -> None:
        try:
            self._telemetry.write_metadata(items)
        except UserError as error:  # the target did answer; that we cannot keep it is no fault of its own
            self._journal.warning("what metrics say of themselves was not accepted", reason=str(error))

    def _write(self, samples: list[Sample]) -> tuple[Refusal, ...]:
        if not samples:
            return ()
        try:
            return self._telemetry.write_samples(samples).refused
        except UserError as error:
            self._journal.warning("scraped samples were not accepted", reason=str(error), samples=len(samples))
            return (Refusal("", str(error)),)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _labelled(target: Target, exposed: Sequence[Exposed], at: float) -> tuple[list[Sample], set[Labels]]:
    """The samples with the target's labels, and the series that must be marked stale when they are gone.

    A scraped label that the target sets too is kept as `exported_NAME`; a series with its own time is never marked.
    """
    samples, alive = [], set()
    own = dict(target.labels)
    for one in exposed:
        pairs = {f"exported_{name}" if name in own else name: value for name, value in one.labels}
        of = labels(pairs | own)
        samples.append(Sample(of, at if one.time is None else one.time, one.value))
        if one.time is None:
            alive.add(of)
    return samples, alive


def _report(target: Target, at: float, *, up: bool, seconds: float, count: int) -> list[Sample]:
    told = {"up": float(up), "scrape_duration_seconds": seconds, "scrape_samples_scraped": float(count)}
    own = dict(target.report or target.labels)
    return [Sample(labels({**own, "__name__": name}), at, value) for name, value in told.items()]
