"""The write-ahead file: what was acknowledged is read back, whatever is cut off its end."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsroom.kernel.errors import Conflict, Unavailable
from opsroom.telemetry import spool as module
from opsroom.telemetry.spool import Spool


def opened(folder: Path, limit: int = 10_000_000) -> Spool:
    return Spool(folder, limit=limit)


def test_reads_what_was_appended_across_a_restart(tmp_path: Path) -> None:
    first = opened(tmp_path)
    sequences = [first.append(kind, bytes([kind]) * 10) for kind in (1, 2, 3)]
    assert sequences == sorted(set(sequences))
    first.close()
    second = opened(tmp_path)
    assert second.name == first.name
    assert [(r.sequence, r.kind) for r in second.read(0, max_bytes=10**6)] == list(
        zip(sequences, (1, 2, 3), strict=True)
    )
    assert [r.kind for r in second.read(sequences[0], max_bytes=1)] == [2]
    assert second.append(4, b"") > sequences[-1]
    second.close()


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=50), min_size=1, max_size=6), st.data())
def test_a_torn_or_damaged_end_loses_only_itself(payloads: list[bytes], data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        spool = opened(folder)
        ends = []
        (path,) = folder.glob("*.wal")
        for payload in payloads:
            spool.append(1, payload)
            ends.append(path.stat().st_size)
        spool.close()
        cut = data.draw(st.integers(0, ends[-1]))
        whole = sum(1 for end in ends if end <= cut)
        os.truncate(path, cut)
        if data.draw(st.booleans()):
            path.write_bytes(path.read_bytes() + data.draw(st.binary(min_size=1, max_size=40)))
        again = opened(folder)
        assert [r.payload for r in again.read(0, max_bytes=10**9)][:whole] == payloads[:whole]
        sequence = again.append(2, b"after")
        assert again.read(0, max_bytes=10**9)[-1].sequence == sequence
        again.close()


def test_segments_go_when_the_store_has_them(tmp_path: Path) -> None:
    spool = opened(tmp_path, limit=100_000_000)
    last = 0
    for _ in range(30):
        last = spool.append(1, b"x" * 1_000_000)
    assert len(list(tmp_path.glob("*.wal"))) > 2
    middle = spool.read(0, max_bytes=15_000_000)[-1].sequence
    spool.release(middle)
    assert spool.read(middle, max_bytes=1)[0].sequence > middle
    spool.release(last)
    assert spool.pending_bytes == 0
    assert sum(p.stat().st_size for p in tmp_path.glob("*.wal")) == 0
    spool.close()


def test_the_limit_refuses_and_takes_again(tmp_path: Path) -> None:
    spool = opened(tmp_path, limit=1_000)
    first = spool.append(1, b"x" * 600)
    with pytest.raises(Unavailable, match="1,000 bytes"):
        spool.append(1, b"x" * 600)
    spool.release(first)
    assert spool.append(1, b"x" * 600)
    spool.close()


def test_a_full_disk_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = opened(tmp_path)
    spool.append(1, b"kept")
    real = os.write

    def half(descriptor: int, raw: bytes) -> int:
        if len(raw) < 1_000:
            return real(descriptor, raw)
        real(descriptor, raw[:500])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "write", half)
    with pytest.raises(Unavailable, match="No space left"):
        spool.append(1, b"y" * 5_000)
    spool.append(1, b"next")
    assert [r.payload for r in spool.read(0, max_bytes=10**6)] == [b"kept", b"next"]
    spool.close()


def test_one_server_at_a_time(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with pytest.raises(Conflict, match="another server"):
        opened(tmp_path)
    spool.close()
    opened(tmp_path).close()
