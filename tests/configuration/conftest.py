"""A room for every test: a plane with the configuration area, a host's folder, an ops repo."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from configuration_room import Room, build_room

from opsroom.kernel.clock import FakeClock


@pytest.fixture
def room(tmp_path: Path, clock: FakeClock) -> Iterator[Room]:
    made = build_room(tmp_path, clock)
    yield made
    made.plane.store.close()
