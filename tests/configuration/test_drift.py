"""Drift: told once for each object and content, apart from what is merely not applied yet, and told again when it is gone."""

from __future__ import annotations

from datetime import timedelta

from configuration_room import HOST, MOTD, Room

from opsroom.areas.configuration import operations as o
from opsroom.areas.configuration.drift import sweep
from opsroom.areas.configuration.facts import drift_of
from opsroom.contracts.facts import Drift, DriftOf

OPS = {"opsroom/hosts.yaml": HOST + MOTD}


def applied(room: Room, files: dict[str, str] = OPS) -> None:
    room.offer(files)
    plan = o.create_plan(room.call, target="here")
    o.apply_stored_plan(room.call, plan.id, digest=plan.digest)


def test_a_change_by_hand_is_found_once_and_ends_when_it_is_undone(room: Room) -> None:
    applied(room)
    room.put("etc/motd", "changed by hand\n")
    for _ in range(3):
        room.look()
    (found,) = room.events("drift.found")
    assert found.data["path"] == "etc/motd" and found.data["differs"] == "content"
    assert room.events("configuration.applied")[0].id == found.cause and room.reaches_push(found)
    (view,) = o.list_drift(room.call)
    assert [one.path for one in view.objects] == ["etc/motd"] and view.objects[0].owner and view.objects[0].modified
    room.put("etc/motd", "Welcome.\n")
    room.look()
    (ended,) = room.events("drift.ended")
    assert ended.cause == found.id and o.list_drift(room.call)[0].objects == []


def test_another_content_is_another_drift_and_the_same_later_too(room: Room) -> None:
    applied(room)
    for text in ("one\n", "two\n"):
        room.put("etc/motd", text)
        room.look()
        room.look()
    assert len(room.events("drift.found")) == 2
    room.put("etc/motd", "Welcome.\n")
    room.look()
    room.put("etc/motd", "one\n")
    room.look()
    assert len(room.events("drift.found")) == 3 and len(room.events("drift.ended")) == 1


def test_mode_and_absence_are_drift(room: Room) -> None:
    applied(room)
    room.put("etc/motd", "Welcome.\n", 0o666)
    room.look()
    (room.folder / "etc/motd").unlink()
    room.look()
    assert [event.data["differs"] for event in room.events("drift.found")] == ["mode 0666", "missing"]


def test_a_commit_not_applied_yet_is_no_drift(room: Room) -> None:
    applied(room)
    room.offer({"opsroom/hosts.yaml": HOST + MOTD.replace("Welcome", "Hello")})
    room.look()
    assert not room.events("drift.found")
    assert [one.state for one in o.list_configurations(room.call)] == ["not applied"]


def test_a_file_that_was_never_as_the_ops_repo_wants_it_is_no_drift(room: Room) -> None:
    room.put("etc/motd", "older than the ops repo\n")
    room.offer(OPS)
    room.look()
    assert not room.events("drift.found")
    assert [one.state for one in o.list_configurations(room.call)] == ["not applied"]


def test_what_was_found_in_order_can_drift_too(room: Room) -> None:
    room.put("etc/motd", "Welcome.\n")
    room.offer(OPS)
    room.look()
    room.put("etc/motd", "changed\n")
    room.look()
    (found,) = room.events("drift.found")
    assert room.reaches_push(found)


def test_applying_ends_drift_and_so_does_the_commit_that_takes_it_over(room: Room) -> None:
    applied(room)
    room.put("etc/motd", "changed\n")
    room.look()
    plan = o.create_plan(room.call, target="here")
    assert "changed outside is lost" in plan.changes[0].risk
    o.apply_stored_plan(room.call, plan.id, digest=plan.digest)
    room.put("etc/motd", "changed again\n")
    room.look()
    room.offer({"opsroom/hosts.yaml": HOST + MOTD.replace("Welcome.", "changed again")})
    room.look()
    assert [event.data["how"] for event in room.events("drift.ended")] == [
        "it is again as the ops repo has it", "the ops repo has it so now"
    ]  # fmt: skip


def test_accepted_drift_is_shown_apart_and_not_counted(room: Room) -> None:
    applied(room)
    room.put("etc/motd", "changed\n")
    room.look()
    room.plane.waivers.grant(
        "drift-accepted", ["host=here", "file=etc/motd"], owner="group:shop", reason="until the fair is over",
        expires=room.clock.now() + timedelta(days=3), actor="person:maria",
    )  # fmt: skip
    (view,) = o.list_drift(room.call)
    assert view.objects == [] and [one.path for one in view.accepted] == ["etc/motd"]
    assert drift_of(room.plane, DriftOf()).value == (Drift(target="here", objects=()),)


def test_the_fact_counts_drift_and_says_what_it_cannot_know(room: Room) -> None:
    applied(room)
    room.put("etc/motd", "changed\n")
    room.look()
    answer = drift_of(room.plane, DriftOf("here"))
    assert answer.value == (Drift(target="here", objects=("etc/motd",)),)
    assert answer.events == (room.events("drift.found")[0].id,)
    (room.folder / "etc/motd").unlink()
    (room.folder / "etc/motd").mkdir()
    room.look()
    assert "etc/motd" in drift_of(room.plane, DriftOf()).unknown
    assert not room.events("drift.ended"), "what cannot be read ends nothing"
    assert drift_of(room.plane, DriftOf("there")).value is None


def test_what_the_ops_repo_no_longer_names_cannot_drift(room: Room) -> None:
    applied(room)
    room.put("etc/motd", "changed\n")
    room.look()
    room.offer({"opsroom/hosts.yaml": HOST})
    sweep(room.plane)
    (ended,) = room.events("drift.ended")
    assert "no longer manages" in ended.data["how"]


def test_a_host_that_is_gone_ends_its_drift(room: Room) -> None:
    applied(room)
    room.put("etc/motd", "changed\n")
    sweep(room.plane)
    room.offer({})
    sweep(room.plane)
    assert len(room.events("drift.ended")) == 1


def test_files_that_nobody_manages_are_told_where_the_host_asks_for_it(room: Room) -> None:
    room.put("etc/other", "x")
    room.offer({"opsroom/hosts.yaml": HOST.replace("folder: host", "folder: host, unmanaged: report") + MOTD})
    assert [(one.path, one.state) for one in o.list_configurations(room.call)] == [
        ("etc/motd", "not applied"), ("etc/other", "unmanaged")
    ]  # fmt: skip
