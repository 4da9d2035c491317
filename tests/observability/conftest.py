"""A scene for each test: a plane with this area at work over telemetry held in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsroom.kernel.clock import FakeClock

sys.path.insert(0, str(Path(__file__).parent))

from observed_plane import FakeTelemetry, Scene


@pytest.fixture
def scene(tmp_path: Path, clock: FakeClock) -> Iterator[Scene]:
    made = Scene(folder=tmp_path, clock=clock, telemetry=FakeTelemetry())
    made.start()
    yield made
    made.plane.store.close()
