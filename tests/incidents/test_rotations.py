"""Rotations: one person at every moment, hand-overs at their wall-clock time, overrides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from opsroom.areas.incidents.rotations import Override, Rotation, hand_over, turn, turns

BERLIN = "Europe/Berlin"
WEEKLY = Rotation(
    name="primary", start=datetime(2026, 1, 5, 9, 0, tzinfo=ZoneInfo(BERLIN)), days=7, people=("maria", "jonas", "aylin")
)  # fmt: skip
ZONES = ("UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "America/Santiago")


def test_people_take_turns_week_by_week() -> None:
    start = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    people = [one.person for one in turns(WEEKLY, (), BERLIN, start, start + timedelta(weeks=4))]
    assert people == ["maria", "jonas", "aylin", "maria"]


def test_nobody_before_the_first_shift() -> None:
    assert turn(WEEKLY, (), BERLIN, datetime(2026, 1, 5, 7, 59, tzinfo=UTC)) is None
    assert turn(WEEKLY, (), BERLIN, datetime(2026, 1, 5, 8, 0, tzinfo=UTC)) is not None


def test_hand_overs_keep_their_wall_clock_time_when_the_clocks_change() -> None:
    """Berlin goes from UTC+1 to UTC+2 on 29 March 2026 and back on 25 October."""
    before = turn(WEEKLY, (), BERLIN, datetime(2026, 3, 30, 6, 59, 59, tzinfo=UTC))
    after = turn(WEEKLY, (), BERLIN, datetime(2026, 3, 30, 7, 0, tzinfo=UTC))
    assert before is not None
    assert after is not None
    assert before.until == after.since == datetime(2026, 3, 30, 7, 0, tzinfo=UTC)
    assert before.until - before.since == timedelta(days=7) - timedelta(hours=1)
    autumn = turn(WEEKLY, (), BERLIN, datetime(2026, 10, 22, tzinfo=UTC))
    assert autumn is not None
    assert autumn.until - autumn.since == timedelta(days=7) + timedelta(hours=1)


def test_an_override_takes_the_turn_and_gives_it_back() -> None:
    day = datetime(2026, 1, 7, 8, 0, tzinfo=UTC)
    override = Override(person="aylin", since=day, until=day + timedelta(hours=8), rotation="primary")
    found = turns(WEEKLY, (override,), BERLIN, day - timedelta(hours=1), day + timedelta(hours=9))
    assert [(one.person, one.instead_of) for one in found] == [("maria", ""), ("aylin", "maria"), ("maria", "")]
    assert found[0].until == found[1].since == day
    assert found[1].until == day + timedelta(hours=8)


def test_of_overlapping_overrides_the_last_written_holds() -> None:
    day = datetime(2026, 1, 7, 8, 0, tzinfo=UTC)
    long = Override(person="aylin", since=day, until=day + timedelta(days=1), rotation="primary")
    short = Override(person="jonas", since=day + timedelta(hours=2), until=day + timedelta(hours=3), rotation="primary")
    found = turns(WEEKLY, (long, short), BERLIN, day, day + timedelta(days=1))
    assert [one.person for one in found] == ["aylin", "jonas", "aylin"]


def test_an_override_of_another_rotation_changes_nothing() -> None:
    day = datetime(2026, 1, 7, 8, 0, tzinfo=UTC)
    override = Override(person="aylin", since=day, until=day + timedelta(days=1), rotation="secondary")
    here = turn(WEEKLY, (override,), BERLIN, day)
    assert here is not None
    assert (here.person, here.until) == ("maria", datetime(2026, 1, 12, 8, 0, tzinfo=UTC))


moments = st.datetimes(min_value=datetime(2026, 1, 10), max_value=datetime(2030, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)
rotations = st.builds(
    Rotation,
    name=st.just("primary"),
    start=st.builds(
        lambda at, zone: at.replace(tzinfo=ZoneInfo(zone)),
        st.datetimes(min_value=datetime(2025, 1, 1), max_value=datetime(2026, 1, 8)), st.sampled_from(ZONES),
    ),
    days=st.integers(min_value=1, max_value=21),
    people=st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=5).map(tuple),
)  # fmt: skip
overrides = st.lists(
    st.builds(
        lambda person, at, hours: Override(person=person, since=at, until=at + timedelta(hours=hours), rotation="primary"),
        st.sampled_from(["x", "y"]), moments, st.integers(min_value=1, max_value=500),
    ),
    max_size=4,
).map(tuple)  # fmt: skip


@given(rotations, overrides, st.sampled_from(ZONES), moments)
def test_every_moment_has_exactly_one_person(
    rotation: Rotation, written: tuple[Override, ...], zone: str, moment: datetime
) -> None:
    here = turn(rotation, written, zone, moment)
    assert here is not None
    assert here.since <= moment < here.until
    # The turn is the same at both its ends, and another one, or another stretch of the same person, begins where it ends.
    for inside in (here.since, here.until - timedelta(microseconds=1)):
        again = turn(rotation, written, zone, inside)
        assert again is not None
        assert (again.person, again.since, again.until) == (here.person, here.since, here.until)
    following = turn(rotation, written, zone, here.until)
    assert following is not None
    assert following.since == here.until


@given(rotations, st.sampled_from(ZONES), st.integers(min_value=1, max_value=400))
def test_hand_overs_follow_each_other_at_the_same_wall_clock_time(rotation: Rotation, zone: str, number: int) -> None:
    local = ZoneInfo(zone)
    before, after = hand_over(rotation, local, number), hand_over(rotation, local, number + 1)
    assert before < after
    wall = rotation.start.astimezone(local).replace(tzinfo=None, fold=0) + timedelta(days=number * rotation.days)
    exists = wall.replace(tzinfo=local).astimezone(UTC).astimezone(local).replace(tzinfo=None, fold=0) == wall
    if exists:
        assert before.astimezone(local).replace(tzinfo=None, fold=0) == wall
