"""Logs, artefacts and caches of runs that are long over leave; the run's rows stay and say so; what is at work is left alone."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opsroom.kernel.clock import SystemClock
from opsroom.kernel.settings import Settings
from opsroom.kernel.store import Store
from opsroom.workflows.engine import Engine
from opsroom.workflows.runner.actions.cache_store import Caches
from opsroom.workflows.scheduler.expiring import Expired, Expiring

pytestmark = pytest.mark.slow
WORKFLOW = """on: push
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - run: echo hello from build; mkdir dist; echo x > dist/x
      - uses: actions/upload-artifact@v4
        with: {name: dist, path: dist}
      - uses: actions/cache/save@v4
        with: {path: dist, key: deps}
"""


def _harness() -> Any:
    path = Path(__file__).with_name("killing.py")
    spec = importlib.util.spec_from_file_location("killing", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["killing"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[tuple[Engine, Store, Path]]:
    engine, store, _ = _harness().engine_of(tmp_path, sandbox=False)
    engine.start()
    yield engine, store, tmp_path
    engine.stop()
    store.close()


def run(engine: Engine, cause: str) -> str:
    from opsroom.workflows.engine import Repository, TriggerEvent

    event = TriggerEvent(name="push", ref="refs/heads/main", commit="c" * 40, actor="person:maria", cause=cause)
    [started] = engine.trigger(event, [(".opsroom/workflows/ci.yml", WORKFLOW)], Repository(name="shop"))
    assert engine.wait(started, 30).conclusion == "success", engine.get(started)
    return started


def expire(store: Store, state: Path, days: float, **settings: int) -> Expired:
    return Expiring(store, Settings(state=state, **settings)).once(now() + timedelta(days=days))


def now() -> datetime:
    return SystemClock().now()


def words(engine: Engine, run: str) -> str:
    return "\n".join(line["text"] for line in engine.log(run, "build").lines)


def test_logs_and_artefacts_leave_after_their_days_and_the_run_says_so(at_work: tuple[Engine, Store, Path]) -> None:
    engine, store, state = at_work
    first = run(engine, "evt_1")
    again = engine.rerun(first, actor="person:maria")
    assert engine.wait(again.id, 30).conclusion == "success", "its artefact takes the place of the one before"
    assert expire(store, state, 6) == Expired() and expire(store, state, 89).logs == 0
    assert "hello from build" in words(engine, first) and [one.name for one in engine.artifacts(first)] == ["dist"]
    assert expire(store, state, 91, run_log_days=120) == Expired(artifacts=1, caches=0)
    assert engine.artifacts(first) == () and not (state / "artifacts" / first).exists()
    assert "hello from build" in words(engine, first)
    assert expire(store, state, 91) == Expired(logs=1)
    assert "not kept any more" in words(engine, first) and engine.log(first, "build").ended
    assert not any((state / "jobs").glob("run_*")) and engine.get(first).run.conclusion == "success"
    assert expire(store, state, 4000) == Expired()
    again = engine.rerun(first, actor="person:maria")
    assert engine.wait(again.id, 30).conclusion == "success", engine.get(first)
    assert "hello from build" in words(engine, first) and [one.name for one in engine.artifacts(first)] == ["dist"]


def test_caches_leave_when_nobody_used_them(at_work: tuple[Engine, Store, Path]) -> None:
    engine, store, state = at_work
    run(engine, "evt_1")
    caches = Caches(state / "caches" / "shop")
    [entry] = caches.entries()
    left = caches.root / "tmpkilled"
    left.mkdir()
    (left / "cache.tar").write_bytes(b"half")
    assert expire(store, state, 6).caches == 0 and not left.exists(), "what a killed job left goes after a day"
    caches.touch(entry, now=time.time() + 5 * 86_400)
    assert expire(store, state, 8).caches == 0
    assert expire(store, state, 100, cache_days=0).caches == 0
    assert expire(store, state, 13).caches == 1
    assert not caches.entries() and not list(caches.blobs.digests())


def test_0_days_keep_for_ever_and_a_pass_has_its_limit(at_work: tuple[Engine, Store, Path]) -> None:
    engine, store, state = at_work
    runs = [run(engine, f"evt_{number}") for number in range(3)]
    assert expire(store, state, 4000, run_log_days=0, artifact_days=0, cache_days=0) == Expired()
    (state / "jobs" / ".gone-run_killed").mkdir()
    some = Expiring(store, Settings(state=state, artifact_days=0), limit=2)
    assert some.once(now() + timedelta(days=91)).logs == 2
    assert [path.name for path in (state / "jobs").glob("run_*")] == [runs[2]], "the oldest go first"
    assert not (state / "jobs" / ".gone-run_killed").exists(), "what a killed server had begun to remove"
    assert expire(store, state, 91, artifact_days=0).logs == 1


def test_a_run_that_has_not_finished_keeps_everything(at_work: tuple[Engine, Store, Path]) -> None:
    from opsroom.workflows.engine import Repository, TriggerEvent

    engine, store, state = at_work
    event = TriggerEvent(name="push", ref="refs/heads/main", commit="c" * 40, actor="person:maria", cause="evt_9")
    text = WORKFLOW.replace("echo hello from build;", f"while [ ! -e {state}/go ]; do sleep 0.02; done;")
    [busy] = engine.trigger(event, [("w.yml", text)], Repository(name="shop"))
    end = time.monotonic() + 10
    while not any(step.status == "running" for job in engine.get(busy).jobs for step in job.steps):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert expire(store, state, 4000) == Expired()
    (state / "go").touch()
    assert engine.wait(busy, 30).conclusion == "success"
    assert os.path.isdir(state / "jobs" / busy)  # noqa: PTH112
