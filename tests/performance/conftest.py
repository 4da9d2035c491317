"""A plane with performance at work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from area_plane import AreaPlane, build_area_plane
from opsroom.kernel.clock import FakeClock


@pytest.fixture
def room(tmp_path: Path, clock: FakeClock) -> Iterator[AreaPlane]:
    made = build_area_plane(tmp_path, ("performance",), clock)
    yield made
    made.plane.store.close()
