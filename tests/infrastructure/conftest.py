"""A plane with the infrastructure area, a telemetry that is up, and clients of nothing outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from opsroom.app.areas import load_connectors
from opsroom.app.plane import build_plane
from opsroom.areas.infrastructure import AREA
from opsroom.contracts.plane import Plane
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.settings import Settings
from opsroom.telemetry.port import Health


class FakeTelemetry:
    """Answers how it is."""

    def __init__(self) -> None:
        self.now = Health(state="up")

    def health(self) -> Health:
        return self.now


@pytest.fixture
def telemetry() -> FakeTelemetry:
    return FakeTelemetry()


@pytest.fixture
def plane(tmp_path: Path, clock: FakeClock, telemetry: FakeTelemetry) -> Iterator[Plane]:
    settings = Settings(state=tmp_path / "state", keys=tmp_path / "keys")
    made = build_plane(settings, [AREA], load_connectors(), clock=clock, telemetry=lambda *_: cast(Any, telemetry))
    yield made
    made.store.close()
