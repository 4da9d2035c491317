"""The room of security as fixtures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from security_room import Room, build_room

from opsroom.kernel.store import Store


@pytest.fixture
def room(tmp_path: Path, store: Store) -> Room:
    return build_room(tmp_path, store)
