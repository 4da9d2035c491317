"""Suspects by their logic alone: many made-up timelines, each with the order a person would give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.areas.incidents.rises import Rise
from opsroom.areas.incidents.suspects import Change, Neighbours, Suspect, Symptom, rank, relation

ONSET = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SHOP = Neighbours(
    direct=frozenset({"inventory"}), further=frozenset({"warehouse"}), dependents=frozenset({"checkout"})
)  # fmt: skip


def change(name: str, service: str = "storefront", before: float = 60, **given: Any) -> Change:
    """A change that took effect `before` seconds before the onset (negative: after it), in one second."""
    ended = ONSET - timedelta(seconds=before)
    services = (service,) if service else ()
    return Change(
        **{
            "event": name, "sentence": name, "subjects": (), "services": services, "environment": "production",
            "began": ended - timedelta(seconds=1), "ended": ended, **given,
        }
    )  # fmt: skip


def deployment(name: str, service: str = "storefront", before: float = 60, **given: Any) -> Change:
    return change(name, service, before, subjects=(f"deployment:{name}",), **given)


def symptom(**given: Any) -> Symptom:
    return Symptom(
        **{
            "service": "storefront",
            "environment": "production",
            "onset": ONSET,
            "unread": "nobody measures it",
            **given,
        }
    )


def moved(seconds_before: float, low: float = 0.04, high: float = 0.3) -> Rise:
    """The alert's series left its level this much before the onset, at once."""
    start = (ONSET - timedelta(seconds=seconds_before)).timestamp()
    return Rise(before=low, after=high, ratio=20, times=(start - 60, start), shares=(0.0, 1.0))


def names(found: tuple[Suspect, ...]) -> list[str]:
    return [one.change.event for one in found]


def test_the_change_of_the_slow_service_comes_before_another_service_that_was_deployed_later() -> None:
    bad = deployment("storefront bad", before=25)
    later = deployment("inventory later", "inventory", before=4)
    assert names(rank(symptom(), [later, bad], SHOP)) == ["storefront bad", "inventory later"]
    measured = symptom(rise=moved(22), unread="")
    found = rank(measured, [later, bad], SHOP)
    assert names(found) == ["storefront bad", "inventory later"]
    assert found[0].score > 4 * found[1].score, "the series had moved before the other one was deployed"
    assert any("already" in reason for reason in found[1].reasons)


def test_a_change_after_the_onset_cannot_be_the_cause_and_says_so() -> None:
    found = rank(symptom(), [deployment("before", "newsletter", 1500), deployment("after", before=-20)], SHOP)
    assert names(found) == ["before", "after"]
    assert found[1].score == 0.0
    assert "cannot be the cause" in found[1].reasons[0]


def test_an_old_quiet_deployment_gives_way_to_a_fresh_one_of_what_the_service_needs() -> None:
    old = deployment("storefront long ago", before=1500)
    fresh = deployment("inventory just now", "inventory", before=20)
    assert names(rank(symptom(), [old, fresh], SHOP)) == ["inventory just now", "storefront long ago"]


def test_relation_decides_between_changes_of_the_same_moment() -> None:
    found = rank(
        symptom(),
        [
            change("unrelated", "newsletter"), change("dependent", "checkout"), change("setup", ""),
            change("further", "warehouse"), change("direct", "inventory"), change("same"),
        ],
        SHOP,
    )  # fmt: skip
    assert names(found) == ["same", "direct", "further", "setup", "dependent", "unrelated"]


def test_the_same_service_elsewhere_is_no_match_for_a_dependency_here() -> None:
    staging = deployment("storefront staging", before=10, environment="staging")
    here = deployment("inventory production", "inventory", before=60)
    assert names(rank(symptom(), [staging, here], SHOP)) == ["inventory production", "storefront staging"]


def test_of_two_deployments_of_the_service_the_one_that_ran_when_it_began_is_first() -> None:
    good = deployment("good", before=70)
    bad = deployment("bad", before=10)
    found = rank(symptom(), [good, bad], SHOP)
    assert names(found) == ["bad", "good"]
    assert found[0].score > 3 * found[1].score
    assert "A later deployment had taken its place before the symptom began." in found[1].reasons


def test_a_failed_deployment_does_not_replace_the_one_before_it() -> None:
    good = deployment("runs", before=70)
    failed = deployment("failed", before=20, failed=True)
    assert names(rank(symptom(), [failed, good], SHOP)) == ["runs", "failed"]


def test_a_deployment_that_is_drained_after_the_onset_took_effect_before_it() -> None:
    """deployment.finished comes when the old version is drained: traffic was switched long before."""
    slow = deployment("storefront", before=-6, began=ONSET - timedelta(seconds=5))
    found = rank(symptom(), [slow, deployment("inventory", "inventory", 3)], SHOP)
    assert names(found) == ["storefront", "inventory"]
    assert found[0].score == 1.0


def test_a_deployment_that_still_goes_on_is_a_suspect() -> None:
    found = rank(symptom(), [deployment("going on", before=3, going_on=True)], SHOP)
    assert found[0].score > 0.9
    assert "It was still going on." in found[0].reasons


def test_a_push_that_was_not_deployed_is_hardly_suspect() -> None:
    found = rank(
        symptom(),
        [change("push", before=5, runs=False, environment=""), deployment("inventory", "inventory", 300)],
        SHOP,
    )
    assert names(found) == ["inventory", "push"]


def test_the_series_tells_two_fresh_changes_of_the_service_apart() -> None:
    first = change("config", before=200)
    second = change("flag", before=20)
    found = rank(symptom(rise=moved(195), unread=""), [first, second], SHOP)
    assert names(found) == ["config", "flag"]
    unmeasured = rank(symptom(), [first, second], SHOP)
    assert names(unmeasured) == ["flag", "config"]


def test_reasons_are_sentences_that_name_what_was_measured() -> None:
    found = rank(
        symptom(rise=moved(50), unread=""), [change("config", before=60, brings="3f2a1c “Stock per product”")], SHOP
    )
    assert found[0].reasons == (
        "It changed storefront itself.",
        "It took effect 10 s before the symptom began.",
        "It was in production, where the alert fires.",
        "The alert's series went from 0.04 to 0.3 10 s after it.",
        "It brings 3f2a1c “Stock per product”.",
    )


def test_without_a_step_in_the_series_nobody_is_helped_and_all_lose_alike() -> None:
    found = rank(symptom(unread=""), [change("same", before=0), change("direct", "inventory", 0)], SHOP)
    assert [one.score for one in found] == [0.7, 0.42]
    assert "The alert's series shows no clear rise." in found[0].reasons


def test_an_alert_that_names_no_service_suspects_what_was_changed_where_it_fires() -> None:
    found = rank(
        symptom(service=""),
        [change("staging", "inventory", environment="staging"), change("here", "inventory")],
        Neighbours(),
    )
    assert names(found) == ["here", "staging"]


def test_what_is_older_than_half_an_hour_is_left_out() -> None:
    assert rank(symptom(), [change("old", before=31 * 60)], SHOP) == ()


@pytest.mark.parametrize(("services", "expected"), [(("newsletter", "inventory"), "dependency"), ((), "configuration")])
def test_the_nearest_of_several_services_counts(services: tuple[str, ...], expected: str) -> None:
    assert relation("storefront", change("push", services=services), SHOP) == expected


ages = st.floats(min_value=-600, max_value=1700, allow_nan=False)
several = st.lists(
    st.builds(
        change, st.uuids().map(str), st.sampled_from(["storefront", "inventory", "warehouse", "newsletter", ""]), ages,
        environment=st.sampled_from(["production", "staging", ""]), failed=st.booleans(), going_on=st.booleans(),
    ),
    max_size=8, unique_by=lambda one: one.event,
)  # fmt: skip


@given(several, st.one_of(st.none(), st.floats(min_value=0, max_value=500).map(moved)))
def test_scores_are_ordered_shares_and_only_what_came_before_has_one(changes: list[Change], rise: Rise | None) -> None:
    found = rank(symptom(rise=rise, unread=""), changes, SHOP)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        assert 0.0 <= one.score <= 1.0
        assert one.reasons
        assert all(reason.endswith(".") for reason in one.reasons)
        if one.change.began > ONSET:
            assert one.score == 0.0


@given(several)
def test_the_order_in_which_changes_are_read_means_nothing(changes: list[Change]) -> None:
    assert rank(symptom(), changes, SHOP) == rank(symptom(), changes[::-1], SHOP)


@given(ages.filter(lambda age: age >= 0), ages.filter(lambda age: age >= 0))
def test_of_two_alike_the_later_is_never_less_suspect(one: float, other: float) -> None:
    found = rank(symptom(), [change("one", before=one), change("other", before=other)], SHOP)
    by_name = {suspect.change.event: suspect.score for suspect in found}
    assert (by_name["one"] >= by_name["other"]) == (one <= other) or by_name["one"] == by_name["other"]
