"""Kill -9 of the server or a runner at random moments: a seeded sample of what `make soak` does hundreds of times."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from opsroom.workflows import sandbox


def _harness() -> ModuleType:
    spec = importlib.util.spec_from_file_location("killing", Path(__file__).with_name("killing.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["killing"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "sandboxed"), [(1, True), (2, False), (3, True)])
def test_no_kill_loses_doubles_or_hides_anything(tmp_path: Path, seed: int, sandboxed: bool) -> None:
    if sandboxed and not (found := sandbox.probe()).available:
        pytest.skip(f"no sandbox on this machine: {found.reason}")
    harness = _harness()
    harness.torture(tmp_path, seed=seed, kills=10, sandbox=sandboxed)
    harness.check(tmp_path, sandbox=sandboxed)
