"""The life of findings: opened once, closed only by a scan that looked, one of each, whatever the order and the branches."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from security_room import Room, build_room

from opsroom.areas.security import store as rows
from opsroom.areas.security.facts import findings_on
from opsroom.areas.security.model import EVERYTHING, SEVERITIES, Found, Result, Unchecked, merge, settle
from opsroom.areas.security.operations import list_findings, show_scan
from opsroom.contracts.facts import FindingsOn
from opsroom.contracts.plane import Call
from opsroom.kernel.actors import Actor
from opsroom.kernel.repos import Repos
from opsroom.kernel.store import Store

NAMES = "abcd"
LABELS = [f"file-{name}" for name in NAMES]


def states(room: Room) -> dict[str, str]:
    return {one.title[-1]: one.state for one in list_findings(Call(plane=room.plane, actor=Actor.run("r"))).items}


finds = st.builds(
    Found, fingerprint=st.sampled_from(NAMES), rule=st.sampled_from("xyz"), severity=st.sampled_from(SEVERITIES), title=st.just("t"),
    places=st.lists(st.sampled_from(LABELS), max_size=2).map(tuple), covers=st.lists(st.sampled_from(LABELS), max_size=2).map(tuple),
)  # fmt: skip


@given(st.lists(finds, max_size=8))
def test_duplicates_merge_and_lose_nothing(given_finds: list[Found]) -> None:
    merged = merge(given_finds)
    assert sorted(one.fingerprint for one in merged) == sorted({one.fingerprint for one in given_finds})
    for one in merged:
        same = [each for each in given_finds if each.fingerprint == one.fingerprint]
        assert one.severity == min((each.severity for each in same), key=SEVERITIES.index)
        assert set(one.places) == {place for each in same for place in each.places}
        assert set(one.covers) == {label for each in same for label in each.covers}
    assert merge(merged) == merged


@given(
    st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(LABELS), max_size=2)),
    st.lists(finds, max_size=4), st.lists(st.sampled_from([*LABELS, EVERYTHING]), max_size=2),
)  # fmt: skip
def test_only_what_was_looked_at_is_gone(
    present: dict[str, list[str]], given_finds: list[Found], blind: list[str]
) -> None:
    result = Result(
        found=tuple(given_finds), unchecked=tuple(Unchecked(what=one, why="") for one in blind), looked_at=1
    )
    settled = settle(present, result)
    seen = {one.fingerprint for one in given_finds}
    for name, covers in present.items():
        expected = name not in seen and EVERYTHING not in blind and not set(blind) & set(covers)
        assert (name in settled.gone) is expected
    assert not set(settled.gone) - set(present) and not set(settled.gone) & seen


steps = st.lists(
    st.tuples(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from([*LABELS, EVERYTHING]), max_size=2), st.sampled_from(["main", "topic"])),
    max_size=8,
)  # fmt: skip


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps)
def test_the_store_and_the_ledger_agree_with_a_model(plan: list[tuple[set[str], set[str], str]]) -> None:
    with fresh_room() as room:
        there: dict[str, set[str]] = {}
        opened: dict[str, int] = {}
        closed: dict[str, int] = {}
        for number, (names, blind, branch) in enumerate(plan):
            before = {name for name in NAMES if there.get(name)}
            for name in NAMES:
                if name in names:
                    there.setdefault(name, set()).add(branch)
                elif EVERYTHING not in blind and f"file-{name}" not in blind:
                    there.get(name, set()).discard(branch)
            after = {name for name in NAMES if there.get(name)}
            for name in after - before:
                opened[name] = opened.get(name, 0) + 1
            for name in before - after:
                closed[name] = closed.get(name, 0) + 1
            room.scan(
                "".join(sorted(names)),
                unchecked=tuple(sorted(blind)),
                commit=f"c{number}",
                ref=f"refs/heads/{branch}",
            )
            room.clock.advance(1)
            assert {name for name, state in states(room).items() if state == "open"} == after
        told = {
            kind: [event.data["title"][-1] for event in room.events(kind)]
            for kind in ("finding.opened", "finding.closed")
        }
        assert {name: told["finding.opened"].count(name) for name in opened} == opened
        assert {name: told["finding.closed"].count(name) for name in closed} == closed
        assert len(states(room)) == len(set(opened))


@contextmanager
def fresh_room() -> Iterator[Room]:
    with TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/state.sqlite")
        try:
            yield build_room(Path(folder), store)
        finally:
            store.close()


def test_a_scan_happens_once_for_its_key(room: Room) -> None:
    first, again = room.scan("ab", key="k"), room.scan("", key="k")
    assert again.scan == first.scan and {one.id for one in again.new} == {one.id for one in first.new}
    assert states(room) == {"a": "open", "b": "open"} and len(room.events("scan.finished")) == 1


def test_new_is_held_against_the_last_scan_that_passed(room: Room) -> None:
    assert [one.title for one in room.scan("a", fail_on="none").new] == ["finding a"]
    assert not room.scan("a", commit="c2").new
    assert [one.title for one in room.scan("ab", commit="c3").new] == ["finding b"]
    # The same failing commit again, and the next one, still have it as new: trying again lets nothing through.
    assert [one.title for one in room.scan("ab", commit="c3").new] == ["finding b"]
    assert [one.title for one in room.scan("ab", commit="c4").new] == ["finding b"]
    assert not room.scan("a", commit="c5").new


def test_a_new_branch_is_held_against_what_passed_elsewhere(room: Room) -> None:
    room.scan("a", fail_on="none")
    assert [one.title for one in room.scan("ab", commit="c2", ref="refs/heads/topic").new] == ["finding b"]
    assert len(states(room)) == 2


def test_a_branch_that_is_deleted_takes_what_only_it_had(room: Room) -> None:
    room.scan("a", fail_on="none")
    room.scan("ab", commit="c2", ref="refs/heads/topic")
    room.deliver(room.record("change.pushed", "repository:storefront", ref="refs/heads/topic", before="c2", after=""))
    assert states(room) == {"a": "open", "b": "closed"}


def test_what_comes_back_is_the_same_finding(room: Room) -> None:
    room.scan("a", fail_on="none")
    room.scan("", commit="c2")
    room.scan("a", commit="c3", fail_on="none")
    opened = room.events("finding.opened")
    assert [event.data["again"] for event in opened] == [False, True]
    assert len({event.subject("finding") for event in opened}) == 1 and states(room) == {"a": "open"}


def test_a_scan_of_an_older_commit_changes_no_life(room: Room, tmp_path: Path) -> None:
    source = tmp_path / "storefront"
    commits = []
    run = ["git", "-c", "user.name=m", "-c", "user.email=m@example.com", "-C", str(source)]
    subprocess.run(["git", "init", "-q", "-b", "main", str(source)], check=True)
    for number in range(2):
        subprocess.run([*run, "commit", "-q", "--allow-empty", "-m", str(number)], check=True)
        commits.append(
            subprocess.run([*run, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
        )
    repos = Repos(tmp_path / "mirrors")
    repos.watch("storefront", str(source))
    repos.poll()
    room.plane.repos = repos
    room.scan("a", commit=commits[1], fail_on="none")
    old = room.scan("bc", commit=commits[0], fail_on="none")
    assert old.scan.older and states(room) == {"a": "open", "b": "closed", "c": "closed"}
    shown = show_scan(Call(plane=room.plane, actor=Actor.run("r")), old.scan.id)
    assert {one.title for one in shown.findings} == {"finding b", "finding c"}
    assert len(room.events("finding.opened")) == 1
    room.scan("ab", commit=commits[1], fail_on="none")
    assert states(room) == {"a": "open", "b": "open", "c": "closed"}


def test_a_waived_finding_is_neither_new_nor_open_until_the_waiver_ends(room: Room) -> None:
    first = room.scan("a").new[0]
    waiver = room.plane.waivers.grant(
        "finding-ignored", [f"finding={first.id}"], owner="person:maria", reason="test data", actor="person:maria",
        expires=room.clock.now() + timedelta(days=1),
    )  # fmt: skip
    assert not room.scan("a", commit="c2").new and states(room) == {"a": "waived"}
    room.clock.advance(timedelta(days=2))
    assert states(room) == {"a": "open"}
    room.plane.waivers.sweep()
    (ended,) = room.events("waiver.ended")
    room.deliver(ended)
    room.deliver(ended)
    opened = room.events("finding.opened")
    assert len(opened) == 2 and opened[1].cause == ended.id and waiver.id in opened[1].data["why"]


def test_findings_of_a_digest_are_those_of_its_commit(room: Room) -> None:
    digest, other = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    room.scan("ab", commit="c1", fail_on="none", unchecked=("big.json",))
    answer = findings_on(room.plane, FindingsOn(digest))
    assert answer.value is None and "never published" in answer.unknown
    room.publish(digest, "c1")
    with room.plane.store.read() as tx:
        assert {one.digest for one in rows.find_findings(tx)} == {digest}
    value = findings_on(room.plane, FindingsOn(digest)).value
    assert value is not None and (value.high, value.critical, value.checked) == (2, 0, ("secrets",))
    assert value.unchecked == ("secrets: big.json: too large",)
    room.publish(other, "c2")
    assert "no scan looked at commit c2" in findings_on(room.plane, FindingsOn(other)).unknown
    room.scan("", commit="c2")
    fixed = findings_on(room.plane, FindingsOn(other)).value
    assert fixed is not None and fixed.high == 0
    still = findings_on(room.plane, FindingsOn(digest)).value
    assert still is not None and still.high == 2
