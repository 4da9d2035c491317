"""The mask file of a job: what is kept comes back in order, is never in clear, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.kernel.errors import Invalid
from opsroom.workflows.runner.mask_file import NAME, MaskFile
from opsroom.workflows.runner.masks import Masks

KEY = bytes(32)


def test_values_come_back_in_order_and_stand_nowhere_in_clear(tmp_path: Path) -> None:
    first = Masks({"TOKEN": "s3cr3t"}, MaskFile(tmp_path, KEY))
    for value in ("found-one", "found\ntwo", "found-one"):
        first.add(value)
    sealed = first.seal("a found-one b s3cr3t c found\ntwo")
    second = Masks({"TOKEN": "s3cr3t"}, MaskFile(tmp_path, KEY))
    assert second.unseal(sealed) == "a found-one b s3cr3t c found\ntwo"
    assert second.hide("a found-one and two") == "a *** and ***"
    assert "found" not in sealed and b"found" not in (tmp_path / NAME).read_bytes()


@pytest.mark.parametrize("kind", ["another key", "swapped", "changed"])
def test_a_file_that_this_job_did_not_write_is_refused(tmp_path: Path, kind: str) -> None:
    for number in range(2):
        MaskFile(tmp_path, KEY).add(number, f"value {number}")
    path = tmp_path / NAME
    lines = path.read_bytes().splitlines(keepends=True)
    if kind == "swapped":
        path.write_bytes(b"".join(reversed(lines)))
    if kind == "changed":
        path.write_bytes((b"B" if lines[0].startswith(b"A") else b"A") + lines[0][1:] + lines[1])
    with pytest.raises(Invalid, match="masks:1: not written by this job"):
        MaskFile(tmp_path, bytes([1] * 32) if kind == "another key" else KEY).read()


@given(cut=st.integers(1, 30))
def test_a_line_that_a_kill_tore_is_written_anew(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("job")
    for number in range(2):
        MaskFile(folder, KEY).add(number, f"value {number}")
    path = folder / NAME
    path.write_bytes(path.read_bytes()[:-cut])
    assert MaskFile(folder, KEY).read() == ["value 0"]
    MaskFile(folder, KEY).add(1, "again")
    assert MaskFile(folder, KEY).read() == ["value 0", "again"]
