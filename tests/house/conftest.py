"""A plane with all eleven areas over the example's own ops repo."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from area_plane import AreaPlane, build_area_plane  # noqa: E402
from opsroom.app.areas import AREAS  # noqa: E402
from opsroom.kernel.clock import SystemClock  # noqa: E402

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shop" / "ops"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[AreaPlane]:
    made = build_area_plane(tmp_path, AREAS, SystemClock())
    made.decide({
        str(path.relative_to(EXAMPLE)): path.read_text()
        for path in sorted(EXAMPLE.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }, drop=["opsroom/environments.yaml"] if not (EXAMPLE / "opsroom" / "environments.yaml").exists() else [])  # fmt: skip
    yield made
    made.plane.store.close()
