"""Percentiles are right within the width of a bucket, and verdicts follow the thresholds."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from opsroom.areas.performance.buckets import BOUNDS, bucket_of, quantile
from opsroom.areas.performance.kinds import Thresholds
from opsroom.areas.performance.model import Counts, judge

LATENCIES = st.lists(st.floats(0.0005, 60.0), min_size=1, max_size=300)


@given(LATENCIES, st.sampled_from([0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_quantile_is_at_most_four_percent_too_high(latencies: list[float], q: float) -> None:
    exact = sorted(latencies)[max(0, math.ceil(q * len(latencies) - 1e-9) - 1)]
    found = quantile(Counter(bucket_of(one) for one in latencies), q)
    assert found is not None
    assert exact <= found * (1 + 1e-12) and found <= exact * 1.0401


@given(st.lists(LATENCIES, max_size=4))
def test_windows_merge_into_the_whole(windows: list[list[float]]) -> None:
    counts = Counts()
    for window in windows:
        buckets = Counter(str(bucket_of(one)) for one in window)
        counts = counts.plus(
            {"sent": len(window), "failed": 1, "late": 0, "resent": 0, "buckets": buckets, "reasons": {"x": 1}}
        )
    every = [one for window in windows for one in window]
    assert counts.requests == len(every)
    assert counts.buckets == Counter(bucket_of(one) for one in every)
    assert counts.failed == sum(counts.reasons.values()) == len(windows)


def test_what_is_slower_than_the_last_bucket_stands_in_it() -> None:
    assert bucket_of(10_000) == len(BOUNDS) - 1 and bucket_of(0) == 0


def counts(*latencies: float, failed: int = 0, late: int = 0) -> Counts:
    return Counts(
        requests=len(latencies), failed=failed, late=late, buckets=Counter(bucket_of(one) for one in latencies),
        reasons={"status 500": failed} if failed else {},
    )  # fmt: skip


def test_verdicts_say_by_which_figure() -> None:
    limits = Thresholds(p95=0.2, error_share=0.01, p95_growth=0.5)
    quick, slow = counts(*[0.1] * 100), counts(*[0.3] * 100)
    assert judge(quick, limits, None) == ("passed", ())
    verdict, reasons = judge(slow, limits, quick)
    assert verdict == "failed"
    assert [reason.split()[0] for reason in reasons] == ["p95", "p95"] and "grew" in reasons[1]
    assert judge(counts(*[0.1] * 100, failed=2), limits, None)[1] == ("2 of 100 requests failed (status 500: 2)",)


def test_what_says_nothing_of_the_service_is_not_measured() -> None:
    limits = Thresholds(p95=0.01)
    assert judge(Counts(), limits, None)[0] == "not measured"
    assert judge(counts(*[0.1] * 100, late=4), limits, None)[0] == "not measured"
    assert judge(counts(*[0.1] * 1000, late=11), limits, None)[0] == "not measured"
    assert judge(counts(*[0.1] * 80, late=3), limits, None)[0] != "not measured", "one hiccup of the machine"
    assert judge(counts(0.1), limits, None, disturbed="another deployment took over") == (
        "not measured",
        ("another deployment took over",),
    )
