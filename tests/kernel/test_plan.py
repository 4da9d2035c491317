"""Plans: compared, printed, stored, and applied exactly as approved; cut off and gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.kernel.errors import Conflict
from opsroom.kernel.plan import Change, Plan, apply, compare, plan_from_json

Objects = dict[str, dict[str, Any]]
OBJECTS = st.dictionaries(
    st.sampled_from("abcd"), st.dictionaries(st.sampled_from("xyz"), st.integers(0, 3), min_size=1)
)


class World:
    """Objects that a plan changes; can be told to fail after some writes."""

    def __init__(self, objects: Objects, failing_after: int = 1000) -> None:
        self.objects = {name: dict(fields) for name, fields in objects.items()}
        self.left = failing_after

    def read(self, change: Change) -> Mapping[str, Any] | None:
        return self.objects.get(change.name)

    def write(self, change: Change) -> None:
        if not self.left:
            raise ConnectionError("cut off")
        self.left -= 1
        if change.verb == "delete":
            del self.objects[change.name]
            return
        now = self.objects.setdefault(change.name, {})
        for item in change.fields:
            if item.after is None:
                now.pop(item.name, None)
            else:
                now[item.name] = item.after

    def apply(self, plan: Plan) -> int:
        return apply(plan, read=self.read, write=self.write, done=lambda change: None)


def planned(desired: Objects, actual: Objects, **given: Any) -> Plan:
    return compare(target="host", commit="c", kind="file", desired=desired, actual=actual, **given)


@given(desired=OBJECTS, actual=OBJECTS)
def test_the_plan_right_after_an_apply_is_empty(desired: Objects, actual: Objects) -> None:
    world = World(actual)
    world.apply(planned(desired, world.objects))
    assert planned(desired, world.objects).empty


@given(desired=OBJECTS, actual=OBJECTS, cut=st.integers(0, 4))
def test_an_apply_cut_off_anywhere_goes_on(desired: Objects, actual: Objects, cut: int) -> None:
    world, plan = World(actual, failing_after=cut), planned(desired, actual)
    try:
        world.apply(plan)
    except ConnectionError:
        world.left = 1000
        world.apply(plan)
    assert planned(desired, world.objects).empty


@given(desired=OBJECTS, actual=OBJECTS)
def test_a_plan_is_the_same_after_it_was_stored(desired: Objects, actual: Objects) -> None:
    plan = planned(desired, actual)
    assert plan_from_json(plan.to_json()) == plan and plan_from_json(plan.to_json()).digest == plan.digest


def test_what_moved_since_the_plan_stops_it() -> None:
    world = World({"a": {"x": 1}})
    plan = planned({"a": {"x": 2}}, world.objects)
    world.objects["a"]["x"] = 3
    with pytest.raises(Conflict, match="file a on host has moved"):
        world.apply(plan)
    assert world.objects["a"]["x"] == 3


def test_what_is_unknown_is_left_alone_and_said() -> None:
    plan = planned({"a": {"x": 1}}, {}, unknown={"a": "missing permission read:files"})
    assert plan.empty and "? a: unknown, missing permission read:files" in plan.text()


def test_secrets_are_not_shown_and_risk_is() -> None:
    plan = planned({"a": {"x": "s3cr3t"}}, {"a": {"x": "old"}}, secret=["x"], risk=lambda change: "access widened")
    assert "s3cr3t" not in plan.text() and "(secret)" in plan.text() and "[access widened]" in plan.text()


def test_a_plan_of_another_version_is_refused() -> None:
    with pytest.raises(Conflict, match="version 9"):
        plan_from_json({**planned({}, {}).to_json(), "version": 9})
