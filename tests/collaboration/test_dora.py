"""The four keys on made-up timelines: their definitions, and what the ledger gives them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from area_plane import AreaPlane
from opsroom.areas.collaboration.dora import Deployed, Recovered, four_keys
from opsroom.areas.collaboration.operations.figures import show_dora
from opsroom.contracts.facts import DoraOf
from opsroom.kernel.clock import stamp
from opsroom.kernel.errors import NotFound

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


PLACES = [("storefront", "production"), ("inventory", "production"), ("storefront", "eu")]


@st.composite
def timelines(draw: st.DrawFn) -> tuple[list[Deployed], list[Recovered], set[str]]:
    count = draw(st.integers(0, 25))
    deployments = [
        Deployed(
            event=f"evt_{n}", deployment=f"dep_{n}", place=draw(st.sampled_from(PLACES)),
            kind=draw(st.sampled_from(["deploy", "deploy", "rollback"])), finished=at(n * 10),
            oldest=draw(st.one_of(st.none(), st.floats(0, 1000).map(lambda before, n=n: at(n * 10 - before)))),
        )
        for n in range(count)
    ]  # fmt: skip
    incidents = [
        Recovered(event=f"inc_{n}", onset=at(n), resolved=at(n + draw(st.floats(0, 500))))
        for n in range(draw(st.integers(0, 5)))
    ]
    suspected = draw(st.sets(st.sampled_from([one.deployment for one in deployments]))) if deployments else set()
    return deployments, incidents, suspected


@given(timelines(), st.randoms())
def test_the_keys_hold_on_any_timeline(timeline: tuple[list[Deployed], list[Recovered], set[str]], random: Any) -> None:
    deployments, incidents, suspected = timeline
    keys = four_keys(deployments, incidents, suspected)
    forward = [one for one in deployments if one.kind == "deploy"]
    assert keys.deployments == len(forward) == len(keys.events["deployments"])
    assert (keys.change_failure_share is None) is (not forward)
    failed = set(keys.events["change_failure_share"])
    assert failed <= {one.event for one in forward}
    assert keys.change_failure_share is None or keys.change_failure_share == len(failed) / len(forward) <= 1
    assert failed >= {one.event for one in forward if one.deployment in suspected}
    assert (keys.recovery_seconds is None) is (not incidents)
    for value in (keys.lead_time_seconds, keys.recovery_seconds):
        assert value is None or value >= 0
    random.shuffle(deployments)
    assert four_keys(deployments, incidents, suspected) == keys
    # Every rollback fails at most the one deployment it replaced.
    assert len(failed) <= len(suspected) + sum(one.kind == "rollback" for one in deployments)


@given(timelines())
def test_places_do_not_fail_each_other(timeline: tuple[list[Deployed], list[Recovered], set[str]]) -> None:
    deployments, _, suspected = timeline
    together = set(four_keys(deployments, [], suspected).events["change_failure_share"])
    apart = [four_keys([one for one in deployments if one.place == place], [], suspected) for place in PLACES]
    assert together == {event for keys in apart for event in keys.events["change_failure_share"]}


def commit(number: int) -> str:
    return f"{number:040x}"


@pytest.fixture
def ready(room: AreaPlane) -> AreaPlane:
    room.decide()
    return room


def dora(room: AreaPlane, service: str = "storefront") -> Any:
    return show_dora(room.call, service, since=START - timedelta(days=1), until=START + timedelta(days=1))


def test_lead_time_is_from_the_oldest_commit_that_was_not_deployed_before(ready: AreaPlane) -> None:
    # The history before the first push that was seen is not what the first deployment waited for.
    ready.push("storefront", commit(1), before="", at=at(0), commits=[(commit(1), at(-5)), (commit(0), at(-90_000))])
    ready.deployed(commit=commit(1), at=at(5))
    assert dora(ready).lead_time_seconds == 600
    # Its pipeline failed, so the next deployment brings its commit too.
    ready.push("storefront", commit(2), before=commit(1), at=at(20), commits=[(commit(2), at(10))])
    ready.push("storefront", commit(3), before=commit(2), at=at(30), commits=[(commit(3), at(25))])
    ready.push("inventory", commit(9), at=at(31), commits=[(commit(9), at(-500))])
    ready.deployed(commit=commit(3), at=at(40))
    assert dora(ready).lead_time_seconds == (600 + 1800) / 2
    # What was deployed before brings nothing new: it counts, and has no lead time.
    ready.deployed(commit=commit(3), at=at(50))
    found = dora(ready)
    assert found.deployments == 3 and len(found.events["lead_time_seconds"]) == 2


def test_rollbacks_and_first_suspects_are_failures(ready: AreaPlane) -> None:
    ready.deployed(commit=commit(1), at=at(1))
    bad = ready.deployed(commit=commit(2), at=at(2))
    ready.deployed(service="inventory", commit=commit(3), at=at(3))
    ready.deployed(commit=commit(1), kind="rollback", at=at(4))
    other = ready.deployed(commit=commit(4), at=at(5))
    ready.deployed(environment="staging", commit=commit(5), at=at(6))
    ready.record(
        "incident.opened", "incident:inc_1", "service:inventory", at=at(7), onset=stamp(at(6)),
        suspects=[{"event": other.id, "change": "x", "subjects": list(other.subjects)}, {"event": bad.id, "subjects": []}],
    )  # fmt: skip
    found = dora(ready)
    assert found.deployments == 3
    assert found.events["change_failure_share"] == [bad.id, other.id]
    assert found.change_failure_share == pytest.approx(2 / 3)
    assert dora(ready, "inventory").change_failure_share == 0
    assert dora(ready, "all").deployments == 4 and dora(ready, "all").change_failure_share == 0.5


def test_recovery_is_from_the_first_symptom(ready: AreaPlane) -> None:
    for number, (onset, end) in enumerate([(1, 11), (2, 22), (3, 5)]):
        subjects = (f"incident:inc_{number}", "service:storefront")
        ready.record("incident.opened", *subjects, at=at(onset + 1), onset=stamp(at(onset)), suspects=[])
        ready.record("incident.resolved", *subjects, at=at(end))
    assert dora(ready).recovery_seconds == 600
    answer = ready.plane.ask(DoraOf("storefront", START, START + timedelta(days=1)))
    assert answer.value is not None and answer.value.recovery_seconds == 600


def test_nothing_gives_no_figure_and_says_so(ready: AreaPlane) -> None:
    found = dora(ready)
    assert (found.deployments, found.lead_time_seconds, found.change_failure_share, found.recovery_seconds) == (
        0,
        None,
        None,
        None,
    )
    assert set(found.definitions) == set(found.events)
    with pytest.raises(NotFound, match="nobody"):
        show_dora(ready.call, "nobody")
    assert "Median over those deployments" in ready.page("/dora")
    assert ready.page("/services/storefront")


def test_the_pages_show_what_there_is(ready: AreaPlane) -> None:
    now = ready.plane.clock.now()
    ready.push("storefront", commit(1), at=now, commits=[(commit(1), now - timedelta(seconds=300))])
    ready.deployed(commit=commit(1), at=now)
    assert "5m 0s" in ready.page("/dora") or "5 min" in ready.page("/dora") or "5m" in ready.page("/dora")
    assert "Lead time" in ready.page("/services/storefront")
