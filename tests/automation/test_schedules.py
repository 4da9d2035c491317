"""The duty that starts what is due, where a repository cannot be read."""

from __future__ import annotations

from area_plane import AreaPlane
from opsroom.areas.automation.jobs import start_due


def test_a_repository_that_cannot_be_read_is_told_once(room: AreaPlane) -> None:
    for _ in range(3):
        start_due(room.plane)
    assert room.journal.getvalue().count("schedules of ops cannot be read") == 1
    room.decide()
    start_due(room.plane)
    assert room.journal.getvalue().count("cannot be read") == 1
