"""opsroom/plan and opsroom/apply as steps of a workflow, and what a crash between them leaves."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from configuration_room import HOST, MOTD, Room

from opsroom.areas.configuration import actions
from opsroom.areas.configuration import operations as o
from opsroom.contracts.actions import ActionCall, ActionFailed
from opsroom.contracts.plane import Call
from opsroom.kernel.actors import Actor
from opsroom.kernel.errors import Conflict

OPS = {"opsroom/hosts.yaml": HOST + MOTD}


class Port:
    """Takes what a step says."""

    def log(self, text: str) -> None:
        assert text

    def summary(self, markdown: str) -> None:
        assert markdown.startswith("### pln_")

    def cancelled(self) -> bool:
        return False


def step(room: Room, key: str = "run_1/apply/0", **inputs: str) -> ActionCall:
    return ActionCall(
        call=Call(plane=room.plane, actor=Actor.run("run_1")), inputs={"target": "here", "risk": "refuse", **inputs}, key=key,
        run="run_1", job="apply", step=0, repository="ops", commit="c", ref="refs/heads/main", workspace=Path("/"), port=Port(),
    )  # fmt: skip


def test_a_plan_is_its_own_step(room: Room) -> None:
    room.folder.mkdir()
    room.offer(OPS)
    outputs = actions.plan(step(room))
    assert outputs["changes"] == "1" and o.show_plan(room.call, outputs["plan"]).digest == outputs["digest"]
    assert not (room.folder / "etc").exists()


def test_an_apply_is_done_once(room: Room) -> None:
    room.folder.mkdir()
    room.offer(OPS)
    assert actions.recover(step(room)) is None
    outputs = actions.apply(step(room))
    assert outputs["changes"] == "1" and (room.folder / "etc/motd").read_text() == "Welcome.\n"
    assert actions.recover(step(room)) == outputs, "its effect is looked up by its key"
    (event,) = room.events("configuration.applied")
    assert event.actor == "run:run_1"


def test_an_apply_that_was_cut_off_goes_on_with_its_own_plan(room: Room) -> None:
    room.folder.mkdir()
    room.offer(OPS)
    frozen = room.plane.waivers.grant(
        "freeze", ["host=here"], owner="group:shop", reason="the fair", expires=room.clock.now() + timedelta(days=1),
        actor="person:maria",
    )  # fmt: skip
    with pytest.raises(Conflict, match="the fair"):
        actions.apply(step(room))
    (begun,) = [one for one in o.list_plans(room.call).items if one.created_by == "run:run_1"]
    room.plane.waivers.end(frozen.id, "person:maria")
    assert actions.recover(step(room)) is None
    assert actions.apply(step(room))["plan"] == begun.id


def test_a_risk_is_refused_unless_the_workflow_accepts_it(room: Room) -> None:
    room.put("etc/motd", "by hand\n")
    room.offer(OPS)
    with pytest.raises(ActionFailed, match="is lost"):
        actions.apply(step(room))
    assert actions.apply(step(room, risk="accept"))["changes"] == "1"
