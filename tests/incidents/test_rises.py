"""How a series came to be bad: which share of its way was gone when, whatever lies about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.areas.incidents.rises import Rise, find_rise


def series(*levels: tuple[int, float]) -> tuple[list[float], list[float]]:
    values = [value + 0.001 * (index % 3) for count, value in levels for index in range(count)]
    return [float(index) for index in range(len(values))], values


def rise(*levels: tuple[int, float], onset: float, bad: int = 1) -> Rise | None:
    times, values = series(*levels)
    return find_rise(times, values, onset=onset, bad=bad)


def test_a_step_is_gone_at_its_first_sample() -> None:
    found = rise((60, 0.04), (10, 0.3), onset=60)
    assert found is not None
    assert (found.start, round(found.before, 2), round(found.after, 2)) == (60, 0.04, 0.3)
    assert found.gone_before(60) == 0
    assert found.gone_before(61) > 0.9
    assert found.follows(55, 60, 30) > 0.95


def test_low_values_can_be_the_bad_ones_and_the_side_is_found_where_nobody_says_it() -> None:
    for bad in (-1, 0):
        found = rise((60, 1.0), (10, 0.2), onset=60, bad=bad)
        assert found is not None
        assert (found.start, round(found.before), round(found.after, 1)) == (60, 1, 0.2)
    assert rise((60, 1.0), (10, 0.2), onset=60, bad=1) is None


def test_a_climb_is_gone_little_by_little() -> None:
    times, values = series((60, 0.04), (20, 0.3))
    values[60:70] = [0.04 + 0.026 * step for step in range(1, 11)]
    found = find_rise(times, values, onset=66, bad=1)
    assert found is not None
    assert found.gone_before(60) == 0
    assert 0.3 < found.gone_before(65) < 0.7
    assert found.gone_before(72) > 0.9


def test_a_bump_that_falls_back_is_no_part_of_the_way() -> None:
    """A load test right before a deployment makes everything slower for ten seconds."""
    found = rise((60, 0.04), (10, 0.12), (3, 0.04), (8, 0.3), onset=73)
    assert found is not None
    assert found.gone_before(73) < 0.05
    assert found.start == 73


def test_a_bump_that_runs_into_the_step_is_its_own_share_and_no_more() -> None:
    found = rise((60, 0.04), (12, 0.1), (8, 0.3), onset=72)
    assert found is not None
    assert 0.15 < found.gone_before(72) < 0.3
    assert found.start >= 60


def test_single_outliers_are_no_way_and_do_not_move_one() -> None:
    times, values = series((80, 0.04))
    values[20] = values[50] = 5.0
    assert find_rise(times, values, onset=79, bad=1) is None
    times, values = series((80, 0.04), (8, 0.3))
    values[40], values[85] = 5.0, 0.04
    found = find_rise(times, values, onset=80, bad=1)
    assert found is not None
    assert found.gone_before(80) == 0


def test_noise_is_no_way_and_gaps_are_left_out() -> None:
    values = [1.0 + 0.3 * ((index * 7919) % 13) / 13 for index in range(100)]
    assert find_rise([float(index) for index in range(100)], values, onset=90) is None
    times, clean = series((40, 1.0), (10, 3.0))
    clean[5] = clean[45] = float("nan")
    found = find_rise(times, clean, onset=40)
    assert found is not None
    assert found.start == 40


def test_from_nothing_to_something_is_a_way_and_few_samples_are_none() -> None:
    found = find_rise([float(n) for n in range(30)], [0.0] * 25 + [0.2] * 5, onset=25, bad=1)
    assert found is not None
    assert found.start == 25
    assert find_rise([0.0, 1.0, 2.0], [0.0, 0.0, 9.0], onset=2) is None


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=60),
    st.floats(min_value=-5, max_value=65),
    st.sampled_from([-1, 0, 1]),
)
def test_any_series_is_read_without_a_fault(values: list[float], onset: float, bad: int) -> None:
    found = find_rise([float(index) for index in range(len(values))], values, onset=onset, bad=bad)
    if found is not None:
        assert sum(found.shares) == pytest.approx(1.0)
        assert min(found.shares) >= 0
        assert 0 <= found.start < len(values)
        assert 0 <= found.follows(10, 20, 5) <= 1
