"""Waivers: each has an owner, a reason and an end; they hold for what their matchers match, and no longer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.kernel import waivers as register
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.errors import Conflict, Invalid, NotFound
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.matchers import Matcher, parse_matcher
from opsroom.kernel.migrations import migrate
from opsroom.kernel.store import Store
from opsroom.kernel.waivers import KINDS, MAX_DAYS, Waiver, Waivers

MARIA = "person:maria"
HOUR = timedelta(hours=1)


@pytest.fixture
def waivers(store: Store, ledger: Ledger, clock: FakeClock) -> Waivers:
    migrate(store, register.MIGRATIONS)
    return Waivers(store, ledger, clock)


def silence(waivers: Waivers, clock: FakeClock, *matchers: str, hours: float = 1, **more: object) -> Waiver:
    return waivers.grant(
        "silence", matchers or ("service=storefront",), owner=MARIA, reason="load test", actor=MARIA,
        expires=clock.now() + hours * HOUR, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_it_holds_for_what_it_names_until_it_expires(waivers: Waivers, clock: FakeClock) -> None:
    made = silence(waivers, clock, "service=storefront", "environment=~prod.*")
    covered = {"service": "storefront", "environment": "production"}
    assert waivers.active("silence", covered) == made
    assert waivers.active("silence", ("service:storefront", "environment:production")) == made
    assert waivers.active("freeze", covered) is None
    assert waivers.active("silence", {**covered, "environment": "staging"}) is None
    assert waivers.active("silence", "service:storefront") is None
    assert waivers.active("silence", covered, clock.now() + HOUR) is None
    clock.advance(HOUR)
    assert waivers.active("silence", covered) is None
    assert waivers.all() == [] and [waiver.id for waiver in waivers.all(ended=True)] == [made.id]


def test_a_window_in_the_future_holds_only_then(waivers: Waivers, clock: FakeClock) -> None:
    silence(waivers, clock, starts=clock.now() + HOUR, hours=2)
    assert waivers.active("silence", "service:storefront") is None
    assert waivers.active("silence", "service:storefront", clock.now() + HOUR) is not None


def test_granting_and_ending_are_events_with_their_subjects(waivers: Waivers, clock: FakeClock, ledger: Ledger) -> None:
    made = silence(waivers, clock, "service=storefront", "severity!=page")
    granted = ledger.get(made.event)
    assert (granted.type, granted.actor) == ("waiver.granted", MARIA)
    assert set(granted.subjects) == {"service:storefront", f"waiver:{made.id}"}
    assert granted.data["scope"] == 'service="storefront", severity!="page"'
    ended = waivers.end(made.id, "person:anna", why="done early")
    assert ended.ended == clock.now() and waivers.active("silence", "service:storefront") is None
    last = ledger.find(types=("waiver.ended",))[0]
    assert (last.actor, last.cause, last.data["why"]) == ("person:anna", made.event, "done early")
    with pytest.raises(Conflict):
        waivers.end(made.id, MARIA)
    with pytest.raises(NotFound):
        waivers.end("wvr_none", MARIA)


def test_the_sweep_ends_what_is_over_once_and_at_its_own_time(
    waivers: Waivers, clock: FakeClock, ledger: Ledger
) -> None:
    made = silence(waivers, clock)
    assert waivers.sweep() == 0
    clock.advance(2 * HOUR)
    assert (waivers.sweep(), waivers.sweep()) == (1, 0)
    [event] = ledger.find(types=("waiver.ended",))
    assert (event.time, event.recorded) == (made.expires, clock.now())
    assert waivers.get(made.id).ended == made.expires


def test_the_one_that_lasts_longest_is_named(waivers: Waivers, clock: FakeClock) -> None:
    silence(waivers, clock, hours=1)
    longer = silence(waivers, clock, hours=3)
    silence(waivers, clock, hours=2)
    assert waivers.active("silence", "service:storefront") == longer


def test_lists_go_on_from_a_cursor(waivers: Waivers, clock: FakeClock) -> None:
    made = [silence(waivers, clock).id for _ in range(5)][::-1]
    assert [waiver.id for waiver in waivers.all(limit=2)] == made[:2]
    assert [waiver.id for waiver in waivers.all(after=made[1], limit=9)] == made[2:]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_longest_time(waivers: Waivers, clock: FakeClock, kind: str) -> None:
    given = {"owner": MARIA, "reason": "r", "actor": MARIA}
    limit = clock.now() + timedelta(days=MAX_DAYS[kind])
    waivers.grant(kind, ["service=a"], expires=limit, **given)
    with pytest.raises(Invalid, match=f"a {kind} may last {MAX_DAYS[kind]} days"):
        waivers.grant(kind, ["service=a"], expires=limit + timedelta(seconds=1), **given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "excuse"}, "none of silence"),
        ({"matchers": []}, "no matcher"),
        ({"matchers": ["service=~.*"]}, "match everything"),
        ({"matchers": ["service!=a"]}, "match everything"),
        ({"matchers": ["service"]}, "not LABEL=VALUE"),
        ({"owner": " "}, "owner and a reason"),
        ({"reason": ""}, "owner and a reason"),
        ({"expires": -HOUR}, "not after its start"),
        ({"expires": timedelta(0)}, "not after its start"),
    ],
)
def test_a_waiver_without_a_part_is_refused(
    waivers: Waivers, clock: FakeClock, ledger: Ledger, change: dict[str, object], message: str
) -> None:
    given: dict[str, object] = {
        "kind": "silence",
        "matchers": ["service=a"],
        "owner": MARIA,
        "reason": "r",
        "expires": HOUR,
    }
    given |= change
    expires = clock.now() + given.pop("expires")  # type: ignore[operator]
    with pytest.raises(Invalid, match=message):
        waivers.grant(given.pop("kind"), given.pop("matchers"), expires=expires, actor=MARIA, **given)  # type: ignore[arg-type]
    assert not ledger.find()


@pytest.mark.parametrize("expression", ["(a+)+", "a{2,}", "(a|b)*", "[a-z]+", ".*.*.*.*.*", "x" * 201, "(", "a)b("])
def test_an_expression_that_could_run_long_is_refused(expression: str) -> None:
    with pytest.raises(Invalid, match="may hold literals"):
        parse_matcher(f'service=~"{expression}"')


@pytest.mark.parametrize(
    ("expression", "yes", "no"),
    [
        ("prod.*", "production", "preprod"),
        ("a|b", "b", "ab"),
        ("store-(front|back)", "store-back", "store-"),
        (r"v1\\.2", "v1.2", "v1x2"),
    ],
)
def test_expressions_match_whole_values(expression: str, yes: str, no: str) -> None:
    matcher = parse_matcher(f'x=~"{expression}"')
    assert matcher.matches({"x": yes}) and not matcher.matches({"x": no})
    opposite = parse_matcher(f'x!~"{expression}"')
    assert opposite.matches({"x": no}) and not opposite.matches({"x": yes})


@given(
    label=st.from_regex(r"[A-Za-z_][A-Za-z0-9_.\-]{0,8}", fullmatch=True),
    value=st.text(max_size=30),
    equal=st.booleans(),
)
def test_a_matcher_reads_back_what_it_writes(label: str, value: str, equal: bool) -> None:
    matcher = Matcher(label, "=" if equal else "!=", value)
    assert parse_matcher(str(matcher)) == matcher
    assert matcher.matches({label: value}) == equal
    assert matcher.matches({}) == ((value == "") == equal)


@given(st.text(max_size=40))
def test_any_text_is_a_matcher_or_a_clear_error(text: str) -> None:
    try:
        parse_matcher(text)
    except Invalid as error:
        assert "\n" not in str(error)
