"""Controls judged over the ledger, and what is put on record of them."""

from __future__ import annotations

from datetime import timedelta

from security_room import Room

from opsroom.areas.security.controls import record_evidence
from opsroom.areas.security.operations import list_controls, list_evidence
from opsroom.contracts.plane import Call
from opsroom.kernel.actors import Actor


def call(room: Room) -> Call:
    return Call(plane=room.plane, actor=Actor.run("r"))


def verdicts(room: Room) -> dict[str, str]:
    return {one.id: one.verdict for one in list_controls(call(room))}


def test_a_control_is_met_by_events_that_match_and_are_recent(room: Room) -> None:
    assert verdicts(room) == {"CHG-1": "not checked", "REC-1": "not checked"}
    room.record("gate.decided", "environment:staging", verdict="pass")
    assert verdicts(room)["CHG-1"] == "not checked"
    room.record("gate.decided", "environment:production", verdict="fail")
    assert verdicts(room)["CHG-1"] == "not met"
    proof = room.record("gate.decided", "environment:production", verdict="pass")
    (control, _) = list_controls(call(room))
    assert (control.verdict, control.events, control.newest) == ("met", [proof.id], proof.time)
    room.clock.advance(timedelta(days=31))
    assert verdicts(room)["CHG-1"] == "not met"


def test_as_many_as_asked_for(room: Room) -> None:
    room.record("backup.verified", "backup:b")
    assert verdicts(room)["REC-1"] == "not met"
    room.record("backup.verified", "backup:b")
    assert verdicts(room)["REC-1"] == "met"


def test_evidence_is_recorded_when_it_comes_at_most_once_a_minute(room: Room) -> None:
    record_evidence(room.plane)
    assert room.events("evidence.recorded") == []
    first = room.record("gate.decided", "environment:production", verdict="pass")
    for _ in range(3):
        record_evidence(room.plane)
        room.record("gate.decided", "environment:production", verdict="pass")
        room.clock.advance(5)
    (told,) = room.events("evidence.recorded")
    assert told.cause == first.id and told.subject("control") == "CHG-1" and told.data["verdict"] == "met"
    room.clock.advance(60)
    record_evidence(room.plane)
    record_evidence(room.plane)
    assert len(room.events("evidence.recorded")) == 2
    room.clock.advance(timedelta(days=31))
    record_evidence(room.plane)
    last = room.events("evidence.recorded")[-1]
    assert last.data["verdict"] == "not met" and last.cause and last.data["events"] == []
    assert [one.verdict for one in list_evidence(call(room), control="CHG-1").items] == ["not met", "met", "met"]
