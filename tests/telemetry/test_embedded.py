"""The embedded store through its port: one real child process for the quick tests, and one to be killed."""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from opsroom.kernel.clock import SystemClock
from opsroom.kernel.errors import Conflict, Invalid, TooLarge, Unavailable
from opsroom.kernel.journal import Journal
from opsroom.telemetry import supervisor
from opsroom.telemetry.embedded import EmbeddedTelemetry
from opsroom.telemetry.limits import Limits
from opsroom.telemetry.port import STALE, LogRecord, Metadata, Sample, labels

LIMITS = Limits(series=3_000, query_samples=2_000_000, query_seconds=5, linger=2)
NOW = float(int(time.time())) - 600


def build(folder: Path, limits: Limits = LIMITS) -> EmbeddedTelemetry:
    clock = SystemClock()
    return EmbeddedTelemetry(folder, limits, clock, Journal(clock, out=io.StringIO()))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., EmbeddedTelemetry]]:
    """Builds stores on one folder, and ends what the test left running."""
    built: list[EmbeddedTelemetry] = []

    def open_one(limits: Limits = LIMITS) -> EmbeddedTelemetry:
        built.append(build(tmp_path, limits))
        return built[-1]

    yield open_one
    for telemetry in built:
        telemetry.close()


Opened = Callable[..., EmbeddedTelemetry]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTelemetry]:
    telemetry = build(tmp_path_factory.mktemp("telemetry"))
    yield telemetry
    telemetry.close()


def series(name: str, **of: str) -> tuple[tuple[str, str], ...]:
    return labels({"__name__": name, **of})


def test_samples_come_back_through_promql(store: EmbeddedTelemetry) -> None:
    batch = [
        Sample(series("requests_total", job=job, code=code), NOW + 15 * i, float(i * 15))
        for job in ("a", "b")
        for code in ("200", "500")
        for i in range(20)
    ]
    assert store.write_samples(batch).accepted == 80
    result = store.query("sum by (job) (rate(requests_total[2m]))", NOW + 285)
    assert result.by("job") == {("a",): pytest.approx(2.0), ("b",): pytest.approx(2.0)}
    ranged = store.query_range('requests_total{job="a",code=~"2.."}', NOW, NOW + 60, 15, lane="rules")
    assert [p.values for p in ranged.series] == [(0.0, 15.0, 30.0, 45.0, 60.0)]
    assert store.query('requests_total{job!~"a|b"}', NOW).series == ()
    assert store.query('label_replace(requests_total{job="a",code="500"},"x","$1","code","(.).*")', NOW).by("x")


def test_a_time_written_twice_counts_once(store: EmbeddedTelemetry) -> None:
    store.write_samples([Sample(series("twice"), NOW, 1.0), Sample(series("twice"), NOW, 2.0)])
    store.write_samples([Sample(series("twice"), NOW, 2.0)])
    assert store.query("count_over_time(twice[1m])", NOW).value == 1.0


def test_staleness_and_special_values(store: EmbeddedTelemetry) -> None:
    store.write_samples([Sample(series("s", i="1"), NOW, float("inf")), Sample(series("s", i="2"), NOW, 1.0)])
    store.write_samples([Sample(series("s", i="2"), NOW + 5, STALE)])
    assert store.query("s", NOW + 10).by("i") == {("1",): float("inf")}
    assert store.query("count(s)", NOW + 1).value == 2.0


def test_series_labels_and_metadata(store: EmbeddedTelemetry) -> None:
    store.write_samples([Sample(series("disk", mount="/'\\\n\"é", host="h"), NOW, 1.0)])
    store.write_metadata([Metadata("disk", "gauge", "Bytes.", "bytes")])
    (found,) = store.series(["disk"], NOW - 1, NOW + 1)
    assert dict(found)["mount"] == "/'\\\n\"é"
    assert store.series(["disk"], NOW + 10, NOW + 20) == ()
    assert store.query('disk{mount="/\'\\\\\\n\\"é"}', NOW).value == 1.0
    assert "mount" in store.labels([], NOW - 1, NOW + 1)
    assert store.label_values("host", ["disk", "nothing"], NOW - 1, NOW + 1) == ("h",)
    assert store.metadata("disk") == (Metadata("disk", "gauge", "Bytes.", "bytes"),)


def test_what_is_over_a_limit_is_refused_with_its_name(store: EmbeddedTelemetry) -> None:
    over = {f"label{i}": "x" for i in range(60)}
    written = store.write_samples(
        [
            Sample(series("fine"), NOW, 1.0),
            Sample(series("wide", **over), NOW, 1.0),
            Sample(series("long", path="x" * 5000), NOW, 1.0),
            Sample(series("fine"), 1e9, 1.0),
            Sample(series("fine"), time.time() + 1e5, 1.0),
            Sample((("job", "x"),), NOW, 1.0),
        ]
    )
    assert written.accepted == 1
    reasons = {r.metric: r.reason for r in written.refused}
    assert reasons["wide"].startswith("wide: 61")
    assert "label path" in reasons["long"]
    assert "a series needs a name" in reasons[""]
    assert len(written.refused) == 5


def test_questions_over_a_limit_or_wrong(store: EmbeddedTelemetry) -> None:
    with pytest.raises(Invalid, match="unknown function"):
        store.query("nope(up)", NOW)
    with pytest.raises(Invalid, match="not supported"):
        store.query("info(up)", NOW)
    with pytest.raises(TooLarge, match="11,000"):
        store.query_range("up", 0, 1e6, 1)
    with pytest.raises(Invalid, match="column 2"):
        store.search_logs("(", NOW, NOW + 1)
    with pytest.raises(TooLarge, match="values"):
        store.query("sum_over_time(vector(1)[1d:1ms])", NOW)
    with pytest.raises(TooLarge, match="look at"):
        store.query("sum_over_time(sum_over_time(vector(1)[1d:1s])[1d:1s])", NOW)
    assert store.query("1 + 1", NOW).value == 2.0


def test_logs_are_searched_counted_and_paged(store: EmbeddedTelemetry) -> None:
    lines = [
        LogRecord(
            time=NOW + i,
            message=f"request {i} timed out; it's 100%",
            service="shop",
            environment="production" if i % 2 else "staging",
            level="error" if i % 5 == 0 else "info",
            trace_id=f"t{i}",
            attributes={"status": str(500 + i), "path": "/cart"},
        )
        for i in range(25)
    ]
    assert store.write_logs(lines).accepted == 25

    def found(search: str) -> list[str]:
        return [line.trace_id for line in store.search_logs(search, NOW, NOW + 100).records]

    assert found('service:shop AND level:ERROR AND "timed out"') == ["t20", "t15", "t10", "t5", "t0"]
    assert found("trace_id:t7") == ["t7"]
    assert found("status:>=523") == ["t24", "t23"]
    assert found("environment:prod* level:error") == ["t15", "t5"]
    assert found('"it\'s 100%" AND status:50?') == [f"t{i}" for i in range(9, -1, -1)]
    assert found("imed") == found("nothing:*") == found("status:abc") == []
    assert len(found("NOT level:error")) == 20
    page = store.search_logs("service:shop", NOW, NOW + 100, limit=10)
    rest = store.search_logs("service:shop", NOW, NOW + 100, limit=100, before=page.before)
    assert len(page.records) + len(rest.records) == 25
    assert rest.before == ""
    assert len({line.id for line in (*page.records, *rest.records)}) == 25
    counts = store.log_histogram("service:shop", NOW, NOW + 25, buckets=5)
    assert [(c.group, c.count) for c in counts if c.time == NOW] == [("error", 1), ("info", 4)]
    with pytest.raises(Invalid, match="cursor"):
        store.search_logs("", NOW, NOW + 1, before="1; DROP TABLE telemetry.logs")


def test_lines_that_are_too_long_are_cut_and_say_so(store: EmbeddedTelemetry) -> None:
    store.write_logs([LogRecord(time=NOW, message="y" * 100_000, service="long")])
    (line,) = store.search_logs("service:long", NOW, NOW + 1).records
    assert (len(line.message), line.attributes) == (65_536, {"cut": "message"})


def test_health(store: EmbeddedTelemetry) -> None:
    store.flush()
    health = store.health()
    assert health.state == "up"
    assert health.samples > 80
    assert health.lines >= 25
    assert 0 < health.memory_bytes < 600_000_000


def test_the_socket_is_private(store: EmbeddedTelemetry) -> None:
    assert store._supervisor.socket_path.stat().st_mode & 0o777 == 0o600


def test_one_folder_has_one_server(store: EmbeddedTelemetry) -> None:
    with pytest.raises(Conflict, match="in use by another server"):
        build(store._supervisor.socket_path.parent)


def test_the_limit_on_series_refuses_new_ones_only(store: EmbeddedTelemetry) -> None:
    many = [Sample(series("many", i=str(i)), NOW, 1.0) for i in range(3_500)]
    written = store.write_samples(many)
    assert 0 < written.accepted < 3_000
    assert "many: the limit of 3,000 series is reached" in written.refused[0].reason
    assert store.write_samples([Sample(series("fine"), NOW + 1, 1.0)]).accepted == 1


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Polls a condition of another process, which no event of ours announces."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        threading.Event().wait(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.soak)])
def test_killed_while_ingesting_everything_acknowledged_is_there_exactly_once(
    opened: Opened, kills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_LONGEST_PAUSE", 0.5)
    telemetry, chance = opened(), random.Random(kills)
    acknowledged = lines = 0
    telemetry.start()
    for kill in range(kills + 1):
        wait_until(lambda: telemetry.health().state == "up")
        pid, until = telemetry._supervisor.pid, time.monotonic() + chance.uniform(0.05, 0.8)
        while time.monotonic() < until:
            batch = [Sample(series("k", i=str(i)), NOW + acknowledged / 1000, 1.0) for i in range(50)]
            acknowledged += telemetry.write_samples(batch).accepted
            lines += telemetry.write_logs([LogRecord(time=NOW, message=f"line {lines}", service="k")]).accepted
            threading.Event().wait(0.002)
        if kill < kills:
            os.kill(pid, signal.SIGKILL)
            wait_until(partial(_another, telemetry, pid))
    assert telemetry.flush(60)
    health = telemetry.health()
    assert (health.samples, health.lines) == (acknowledged, lines)
    assert telemetry.query("sum(count_over_time(k[1h]))", NOW + 600).value == acknowledged
    assert health.restarts == kills


@pytest.mark.slow
def test_taken_in_but_not_noted_is_not_taken_in_again(opened: Opened, tmp_path: Path) -> None:
    telemetry = opened()
    telemetry.write_samples([Sample(series("n", i=str(i)), NOW, 1.0) for i in range(100)])
    telemetry.write_logs([LogRecord(time=NOW, message="once")])
    shutil.copytree(tmp_path / "spool", tmp_path / "kept")
    assert telemetry.flush()
    telemetry.close()
    shutil.rmtree(tmp_path / "spool")
    (tmp_path / "kept").rename(tmp_path / "spool")
    (tmp_path / "applied.json").unlink()
    again = opened()
    assert again.flush()
    assert (again.health().samples, again.health().lines) == (100, 1)


@pytest.mark.slow
def test_while_it_is_down_writes_are_kept_up_to_the_limit_and_questions_say_why(opened: Opened) -> None:
    telemetry = opened(Limits(spool=20_000))
    telemetry.write_samples([Sample(series("d"), NOW, 1.0)])
    assert telemetry.query("d", NOW).value == 1.0
    telemetry._supervisor.close(stop=True)
    written = 0
    with pytest.raises(Unavailable, match="has not taken in"):
        for _ in range(1000):
            written += telemetry.write_samples([Sample(series("d"), NOW + 1 + written, 2.0)] * 10).accepted
    assert written > 100
    with pytest.raises(Unavailable, match="telemetry did not answer|telemetry does not answer"):
        telemetry.query("d", NOW)


@pytest.mark.slow
def test_the_next_server_takes_over_and_a_lonely_child_ends(opened: Opened) -> None:
    first = opened()
    first.write_samples([Sample(series("t"), NOW, 5.0)])
    assert first.query("t", NOW).value == 5.0
    pid = first._supervisor.pid
    first.close(stop=False)
    second = opened()
    assert second.query("t", NOW).value == 5.0
    assert second._supervisor.pid == pid
    assert second.health().restarts == 0
    second.close(stop=False)
    wait_until(lambda: not _runs(pid))


@pytest.mark.slow
def test_other_settings_replace_the_process(opened: Opened) -> None:
    first = opened()
    first.write_samples([Sample(series("o"), NOW, 5.0)])
    assert first.query("o", NOW).value == 5.0
    pid = first._supervisor.pid
    first.close(stop=False)
    second = opened(Limits(query_seconds=7))
    second.start()
    wait_until(lambda: second.health().state == "up")
    assert second.query("o", NOW).value == 5.0
    assert second._supervisor.pid != pid


@pytest.mark.slow
def test_a_record_that_cannot_be_taken_in_is_put_aside(opened: Opened, tmp_path: Path) -> None:
    telemetry = opened()
    telemetry._spool.append(1, b"no record")
    telemetry.write_samples([Sample(series("p"), NOW, 1.0)])
    assert telemetry.flush(30)
    assert telemetry.query("p", NOW).value == 1.0
    (aside,) = (tmp_path / "rejected").iterdir()
    assert aside.read_bytes() == b"no record"


@pytest.mark.slow
def test_a_process_that_does_not_answer_is_replaced(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_ASK_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "_WATCH_SECONDS", 0.1)
    telemetry = opened()
    telemetry.start()
    wait_until(lambda: telemetry.health().state == "up")
    pid = telemetry._supervisor.pid
    monkeypatch.setattr(supervisor, "_START_SECONDS", 2.0)
    os.kill(pid, signal.SIGSTOP)
    wait_until(partial(_another, telemetry, pid))
    assert not _runs(pid)


def _another(telemetry: EmbeddedTelemetry, pid: int) -> bool:
    return telemetry._supervisor.pid != pid and telemetry._supervisor.state[0] == "up"


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0]
    except FileNotFoundError:
        return False
