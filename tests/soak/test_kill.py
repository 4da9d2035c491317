"""Hundreds of kills of server, runners and the process that starts them, at seeded random moments, over real processes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from opsroom.workflows import sandbox

SEEDS = range(100, 125)
KILLS = 25


def _harness() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "workflows" / "killing.py"
    spec = importlib.util.spec_from_file_location("killing", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["killing"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.soak
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_doubled_or_hidden(tmp_path: Path, seed: int) -> None:
    sandboxed = seed % 2 == 0
    if sandboxed and not (found := sandbox.probe()).available:
        pytest.skip(f"no sandbox on this machine: {found.reason}")
    harness = _harness()
    deaths = harness.torture(tmp_path, seed=seed, kills=KILLS, sandbox=sandboxed)
    cuts = harness.check(tmp_path, sandbox=sandboxed)
    print(f"seed {seed}: {dict(deaths.count)} killed, {cuts} steps cut off")
