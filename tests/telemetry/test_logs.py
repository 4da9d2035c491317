"""Following log files, and reading their lines."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.kernel.clock import FakeClock
from opsroom.kernel.errors import Unavailable
from opsroom.kernel.journal import Journal
from opsroom.telemetry.loglines import Origin, parse_line
from opsroom.telemetry.logs import LogFile, LogFollower
from opsroom.telemetry.port import LogRecord, Written

ORIGIN = Origin(service="shop", environment="staging", attributes={"host": "h1"})


class Kept:
    """A store of lines that can be told to refuse."""

    def __init__(self) -> None:
        self.lines: list[LogRecord] = []
        self.down = False

    def write_logs(self, records: list[LogRecord]) -> Written:
        if self.down:
            raise Unavailable("no")
        self.lines += records
        return Written(len(records))

    @property
    def messages(self) -> list[str]:
        return [line.message for line in self.lines]


class Scene:
    def __init__(self, folder: Path) -> None:
        self.kept, self.log, self.folder = Kept(), folder / "shop.log", folder
        self.follower = self.restart()

    def restart(self) -> LogFollower:
        clock = FakeClock()
        self.follower = LogFollower(
            self.kept,  # type: ignore[arg-type]
            lambda: [LogFile(path=self.log, origin=ORIGIN)],
            self.folder / "positions.json",
            clock,
            Journal(clock, out=io.StringIO()),
            redact=lambda line: line.replace("hunter2", "***"),
        )
        return self.follower

    def append(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(text)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_follows_growth_and_leaves_partial_lines(scene: Scene) -> None:
    assert scene.follower.round() == 0
    scene.append("one\ntw")
    assert scene.follower.round() == 1
    scene.append("o\nthree hunter2\n")
    scene.follower.round()
    assert scene.kept.messages == ["one", "two", "three ***"]
    assert scene.kept.lines[0].service == "shop"
    assert scene.kept.lines[0].attributes == {"host": "h1"}


def test_rotation_loses_and_doubles_nothing(scene: Scene) -> None:
    scene.append("one\n")
    scene.follower.round()
    scene.append("two\nunfinished")
    scene.log.rename(scene.folder / "shop.log.1")
    scene.append("three\n")
    scene.follower.round()
    scene.follower.round()
    assert scene.kept.messages == ["one", "two", "unfinished", "three"]


def test_rotation_while_not_running(scene: Scene) -> None:
    scene.append("one\n")
    scene.follower.round()
    scene.follower.close()
    scene.append("two\n")
    scene.log.rename(scene.folder / "shop.log.1")
    scene.append("three\n")
    scene.restart().round()
    scene.follower.round()
    assert scene.kept.messages == ["one", "two", "three"]


def test_truncation_starts_again(scene: Scene) -> None:
    scene.append("a long first line\nanother\n")
    scene.follower.round()
    os.truncate(scene.log, 0)
    scene.append("new\n")
    scene.follower.round()
    assert scene.kept.messages[2:] == ["new"]
    os.truncate(scene.log, 0)
    scene.append("a rewritten file that is longer than it was\n")
    scene.follower.round()
    assert scene.kept.messages[3:] == ["a rewritten file that is longer than it was"]


def test_the_position_moves_only_when_the_lines_were_acknowledged(scene: Scene) -> None:
    scene.append("one\n")
    scene.follower.round()
    scene.append("two\n")
    scene.kept.down = True
    with pytest.raises(Unavailable):
        scene.follower.round()
    scene.kept.down = False
    scene.follower.close()
    scene.restart().round()
    assert scene.kept.messages == ["one", "two"]


def test_positions_in_files_that_were_removed_are_forgotten(scene: Scene) -> None:
    first, positions = scene.log, scene.folder / "positions.json"
    scene.append("one\n")
    scene.follower.round()
    rotated = first.rename(first.with_name("shop.log.1"))
    scene.log = scene.folder / "other.log"
    scene.append("two\n")
    scene.follower.round()
    assert str(first) in positions.read_text(), "what rotation made of it is there"
    rotated.unlink()
    scene.log = scene.folder / "third.log"
    scene.append("three\n")
    scene.follower.round()
    assert str(first) not in positions.read_text() and "other.log" in positions.read_text()
    assert scene.kept.messages == ["one", "two", "three"]


def test_reads_json_lines() -> None:
    line = (
        '{"time":"2026-11-23T14:00:00.5Z","level":"WARN","msg":"slow","trace_id":"abc","http":{"status":500},'
        '"tags":["a"],"gone":null}'
    )
    record = parse_line(line, ORIGIN, 1.0)
    assert record.time == 1795442400.5
    assert (record.level, record.message, record.trace_id) == ("warning", "slow", "abc")
    assert record.attributes == {"http.status": "500", "tags": '["a"]', "host": "h1"}


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("1700000000", 1700000000.0), ("1700000000123", 1700000000.123), ("1700000000123456789", 1700000000.1234568),
     ('"yesterday"', 5.0), ("true", 5.0), ("-1", 5.0)],
)  # fmt: skip
def test_reads_times(time: str, seconds: float) -> None:
    assert parse_line(f'{{"ts":{time}}}', ORIGIN, 5.0).time == pytest.approx(seconds)


@given(st.text())
def test_any_line_is_a_record(line: str) -> None:
    assert isinstance(parse_line(line, ORIGIN, 1.0), LogRecord)


def test_a_broken_json_line_is_its_own_message() -> None:
    assert parse_line('{"a":', ORIGIN, 1.0).message == '{"a":'
    assert parse_line("{" * 100_000, ORIGIN, 1.0).time == 1.0
