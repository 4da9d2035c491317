"""Every page of the house answers, in a room with nothing in it and in one where much has happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from area_plane import AreaPlane, build_area_plane
from opsroom.app.areas import AREAS
from opsroom.kernel.clock import FakeClock

pytestmark = pytest.mark.slow
OWN = ("performance", "cost", "automation", "collaboration", "documentation")


def paths(room: AreaPlane) -> list[str]:
    return [page.path for area in room.areas if area.name in OWN for page in area.pages if "{" not in page.path]


def test_every_page_answers(tmp_path: Path, clock: FakeClock) -> None:
    room = build_area_plane(tmp_path, AREAS, clock)
    for path in (*paths(room), "/", "/services"):
        assert room.page(path)
    room.decide({"docs/index.md": "# Hello\n"})
    now = clock.now()
    pushed = room.push("storefront", "c" * 40, at=now, commits=[("c" * 40, now)])
    room.deployed(cause=pushed.id)
    room.settle()
    clock.advance(5)
    for path in (
        *paths(room),
        "/",
        "/services",
        "/services/storefront",
        "/search?q=storefront",
        "/docs/services/storefront",
    ):
        assert room.page(path)
    room.plane.store.close()
