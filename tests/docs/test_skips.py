"""Skipped tests are counted by reason at the end of a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import pytest

@pytest.mark.parametrize("number", range(3))
def test_page(number):
    pytest.skip("Chromium is not installed")

@pytest.mark.skip(reason="no network")
def test_tool():
    pass

def test_whole():
    pass
"""


@pytest.mark.slow
def test_a_run_ends_with_its_skips_by_reason(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.skips", "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    *_, first, second, last = done.stdout.splitlines()
    assert (first, second) == ("skipped: 3 × Chromium is not installed", "skipped: 1 × no network")
    assert "1 passed, 4 skipped" in last
