"""Cron triggers: on time, missed, overlapping, across time zones; on both databases, without any runner."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from opsroom.kernel.clock import FakeClock
from opsroom.kernel.errors import Invalid
from opsroom.kernel.journal import Journal
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.migrations import migrate
from opsroom.kernel.queue import Queue
from opsroom.kernel.settings import Settings
from opsroom.kernel.store import Store
from opsroom.workflows.engine import Engine, Policy, Repository, Scheduled, TriggerEvent
from opsroom.workflows.scheduler.schedules import occurrences
from opsroom.workflows.store import MIGRATIONS

NIGHTLY = "on:\n  schedule:\n    - cron: '0 3 * * *'\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: 'true'\n"
MIDNIGHT = datetime(2026, 1, 5, 0, 0, tzinfo=UTC)


class Stopwatch:
    """An engine that decides nothing, a clock moved by hand, and one nightly workflow."""

    def __init__(self, store: Store, state: Path, **policy: Any) -> None:
        migrate(store, MIGRATIONS)
        self.clock, self.told = FakeClock(MIDNIGHT), StringIO()
        self.ledger = Ledger(store, self.clock)
        self.engine = Engine(
            store=store, ledger=self.ledger, queue=Queue(store, self.clock), clock=self.clock, journal=Journal(self.clock, out=self.told),
            settings=Settings(state=state), actions=None, secrets=lambda record, job: {}, sandbox_problem=lambda: "",
        )  # type: ignore[arg-type]  # fmt: skip
        repository = Repository(name="ops", service="storefront", policies={"nightly.yml": Policy(**policy)})
        self.nightly = Scheduled(
            path="nightly.yml", text=NIGHTLY, repository=repository, ref="refs/heads/main", commit="c" * 40
        )

    def at(self, **later: float) -> list[str]:
        self.clock.advance(timedelta(**later))
        return self.engine.due_schedules(self.clock.now(), [self.nightly])

    def missed(self) -> list[dict[str, Any]]:
        return [dict(event.data) for event in self.ledger.find(types=["schedule.missed"], newest_first=False)]


def test_it_starts_once_when_it_is_due(store: Store, tmp_path: Path) -> None:
    watch = Stopwatch(store, tmp_path)
    assert watch.at() == [] == watch.at(hours=2, minutes=59)
    [run] = watch.at(minutes=1, seconds=5)
    assert watch.at(seconds=20) == [] == watch.missed()
    found = watch.engine.get(run).run
    assert (found.event, found.service, found.actor) == ("schedule", "storefront", "system:schedule")


def test_times_missed_while_down_are_recorded_and_made_up_once(store: Store, tmp_path: Path) -> None:
    watch = Stopwatch(store, tmp_path)
    watch.at()
    assert len(watch.at(days=3, hours=4)) == 1
    [missed] = watch.missed()
    assert missed["times"] == 4 and missed["run_once_instead"] and missed["reason"] == "the server was down"
    assert missed["first"].startswith("2026-01-05T03:00")


def test_missed_times_may_be_left_out(store: Store, tmp_path: Path) -> None:
    watch = Stopwatch(store, tmp_path, missed="skip")
    watch.at()
    assert watch.at(days=1, hours=4) == [] and watch.missed()[0]["run_once_instead"] is False


def test_a_schedule_does_not_overlap_with_itself_unless_it_may(store: Store, tmp_path: Path) -> None:
    watch = Stopwatch(store, tmp_path)
    watch.at()
    [first] = watch.at(hours=3, seconds=1)
    assert watch.at(days=1) == [] and f"run {first}" in watch.missed()[0]["reason"]
    allowed = Stopwatch(store, tmp_path, overlap="allow")
    allowed.clock.advance(timedelta(days=2, hours=3, seconds=1))
    assert len(allowed.at()) == 1


def test_an_overlapping_schedule_may_queue(store: Store, tmp_path: Path) -> None:
    watch = Stopwatch(store, tmp_path, overlap="queue")
    watch.at()
    [first], [second] = watch.at(hours=3, seconds=1), watch.at(days=1)
    [wait] = [wait for wait in watch.engine.why_waiting(second) if not wait.job]
    assert wait.reason == f"concurrency group schedule nightly.yml, held by run {first}"


def test_a_bad_file_stops_no_other(store: Store, tmp_path: Path) -> None:
    watch = Stopwatch(store, tmp_path)
    bad = Scheduled(
        path="bad.yml",
        text="on: {schedule: [{cron: nonsense}]}",
        repository=Repository(name="ops"),
        ref="r",
        commit="c",
    )
    watch.engine.due_schedules(watch.clock.now(), [bad, watch.nightly])
    watch.clock.advance(timedelta(hours=3, seconds=1))
    assert len(watch.engine.due_schedules(watch.clock.now(), [bad, watch.nightly])) == 1


def test_local_time_and_its_changes() -> None:
    day = timedelta(days=1)
    spring = datetime(2026, 3, 28, 12, tzinfo=UTC)
    found = occurrences("30 2 * * *", spring, spring + 2 * day, "Europe/Berlin")
    assert [time.astimezone(UTC).isoformat() for time in found] == [
        "2026-03-29T01:00:00+00:00",
        "2026-03-30T00:30:00+00:00",
    ]
    autumn = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert len(occurrences("30 2 * * *", autumn, autumn + day, "Europe/Berlin")) == 1
    with pytest.raises(Invalid, match="time zone 'Mars/Olympus' is unknown"):
        occurrences("30 2 * * *", spring, spring, "Mars/Olympus")


def test_a_run_waits_with_its_reason_while_nothing_serves(store: Store, tmp_path: Path) -> None:
    watch = Stopwatch(store, tmp_path)
    text = NIGHTLY.replace("on:\n  schedule:\n    - cron: '0 3 * * *'", "on: push").replace(
        "  a:", "  b:\n    needs: a\n    runs-on: x\n    steps: [{run: 'true'}]\n  a:"
    )
    event = TriggerEvent(name="push", ref="refs/heads/main", commit="c" * 40, actor="person:maria")
    [run] = watch.engine.trigger(event, [("ci.yml", text)], Repository(name="ops"))
    reasons = {wait.job: wait.reason for wait in watch.engine.why_waiting(run)}
    assert reasons == {"b": "needs a", "a": "a free slot: 2 on this machine, now taken by none"}
    watch.engine.cancel(run, actor="person:maria")
    assert {job.key: job.status for job in watch.engine.get(run).jobs} == {"a": "queued", "b": "waiting"}
    watch.engine.cancel(run, actor="person:maria", force=True)
    assert watch.engine.get(run).run.conclusion == "cancelled"


def test_a_file_that_cannot_be_read_is_told_once_and_stops_no_other(store: Store, tmp_path: Path) -> None:
    watch = Stopwatch(store, tmp_path)
    broken = replace(watch.nightly, path="broken.yml", text="on: {schedule: [{cron: soon}]}\njobs: {}\n")
    for minutes in (0, 179, 2):
        watch.clock.advance(timedelta(minutes=minutes))
        started = watch.engine.due_schedules(watch.clock.now(), [broken, watch.nightly])
    assert len(started) == 1
    assert watch.told.getvalue().count("a schedule cannot be followed") == 1
    assert "broken.yml:1:24: cron 'soon' has 1 of 5 fields" in watch.told.getvalue()
