"""A server without a web, and a murderer: kill -9 of server, runners and the process that starts them, at seeded random moments.

As a script (`killing.py STATE`) it is the server: engine and scheduler over a fixed workload, until every run has finished. As a
module it is the harness: `torture` kills and starts again until that is so, `check` reads the truth through the engine.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opsroom.kernel.blobs import Blobs
from opsroom.kernel.clock import SystemClock
from opsroom.kernel.errors import NotFound
from opsroom.kernel.journal import Journal
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.migrations import KERNEL_MIGRATIONS, migrate
from opsroom.kernel.queue import Queue
from opsroom.kernel.settings import Settings
from opsroom.kernel.store import Store
from opsroom.workflows.actions import ActionRequest
from opsroom.workflows.engine import Engine, Repository, TriggerEvent
from opsroom.workflows.runner.actions.cache_store import Caches
from opsroom.workflows.scheduler.folders import JobFolder
from opsroom.workflows.store import MIGRATIONS
from opsroom.workflows.views import RunFilter

SRC = Path(__file__).resolve().parents[2] / "src"
RUNS = 6
DEPLOY_STEPS = 8
"""Of the job `deploy`: it has effects where it ran them all."""
PATIENCE_SECONDS = 120

_HEAD = "    runs-on: ubuntu-latest\n"


def _step(name: str) -> str:
    return f"      - name: {name}\n        id: {name}\n        run: |\n          echo start {name}\n          sleep 0.03\n          echo end {name}\n          echo said={name} >> $GITHUB_OUTPUT\n"


_ANNOUNCE = """          name: announce
          runs:
            using: composite
            steps:
              - {shell: bash, run: sleep 0.03}
              - {uses: opsroom/append, with: {text: third}}
              - {shell: bash, run: sleep 0.03}
"""

CHAIN = f"""on: push
permissions: {{deployments: write}}
jobs:
  build:
{_HEAD}    outputs: {{said: "${{{{ steps.b2.outputs.said }}}}"}}
    steps:
{_step("b1")}      - run: mkdir -p dist deps; echo made > dist/app; echo lib > deps/lib
      - uses: actions/upload-artifact@v4
        with: {{name: dist, path: dist}}
      - uses: actions/cache/save@v4
        with: {{path: deps, key: "deps-${{{{ github.run_id }}}}"}}
{_step("b2")}{_step("b3")}
  test:
    needs: build
    strategy: {{matrix: {{n: [1, 2, 3]}}, max-parallel: 2}}
{_HEAD}    steps:
      - uses: actions/download-artifact@v4
        with: {{name: dist, path: in}}
      - uses: actions/cache/restore@v4
        with: {{path: deps, key: "deps-${{{{ github.run_id }}}}", fail-on-cache-miss: true}}
      - run: test "$(cat in/app)" = made; test "$(cat deps/lib)" = lib; echo ${{{{ matrix.n }}}} > report
{_step("t1")}      - uses: actions/upload-artifact@v4
        with: {{name: "report-${{{{ matrix.n }}}}", path: report}}
{_step("t2")}
  announce:
{_HEAD}    steps:
      - run: |
          mkdir -p act; cat > act/action.yml <<'END'
{_ANNOUNCE}          END
      - uses: ./act
  deploy:
    needs: [build, test, announce]
{_HEAD}    steps:
      - uses: actions/cache@v4
        with: {{path: end, key: "end-${{{{ github.run_id }}}}"}}
      - uses: actions/download-artifact@v4
        with: {{pattern: "report-*", path: reports}}
      - run: test "$(cat reports/*/report | sort | tr -d '\\n')" = 123; mkdir -p end; echo x > end/x
{_step("d1")}      - id: effect
        uses: opsroom/append
        with: {{text: "${{{{ needs.build.outputs.said }}}}"}}
      - run: test "${{{{ steps.effect.outputs.line }}}}" = b2
      - uses: opsroom/append
        with: {{text: second}}
{_step("d2")}"""

FAILING = f"""on: push
jobs:
  breaks:
{_HEAD}    steps:
{_step("f1")}      - run: exit 3
{_step("f2")}      - name: cleans
        if: always()
        run: echo start cleans; echo end cleans
  never:
    needs: breaks
{_HEAD}    steps:
{_step("n1")}"""

SHARED = CHAIN.replace("on: push\n", "on: push\nconcurrency: shared\n")


class AppendingHost:
    """`opsroom/append` has an effect that doing twice would show: a line in a file. It is slow before and after."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def permission(self, uses: str) -> tuple[str, str] | None:
        if uses != "opsroom/append":
            raise NotFound(f"there is no action {uses}")
        return ("deployments", "write")

    def run(self, request: ActionRequest) -> Mapping[str, str]:
        time.sleep(0.05)
        with self._file.open("a") as file:
            file.write(f"{request.key} {request.inputs['text']}\n")
        time.sleep(0.2)
        return {"line": request.inputs["text"]}

    def recover(self, request: ActionRequest) -> Mapping[str, str] | None:
        found = [line.split() for line in effects(self._file)]
        return next(({"line": text} for key, text in found if key == request.key), None)


def effects(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def engine_of(state: Path, *, sandbox: bool) -> tuple[Engine, Store, Ledger]:
    store = Store(f"sqlite:///{state / 'opsroom.sqlite'}")
    migrate(store, (*KERNEL_MIGRATIONS, *MIGRATIONS))
    clock = SystemClock()
    ledger = Ledger(store, clock)
    engine = Engine(
        store=store, ledger=ledger, queue=Queue(store, clock), clock=clock, journal=Journal(clock),
        settings=Settings(state=state, job_slots=3, step_retries=1000, unsandboxed="*"), actions=AppendingHost(state / "effects"),
        secrets=lambda record, job: {"TOKEN": "s3cr3t-value"}, sandbox_problem=None if sandbox else (lambda: "not wanted"),
    )  # fmt: skip
    return engine, store, ledger


def workload() -> list[tuple[str, str]]:
    texts = [CHAIN, FAILING, SHARED]
    return [(f"w{number % len(texts)}.yml", texts[number % len(texts)]) for number in range(RUNS)]


def serve(state: Path, *, sandbox: bool) -> None:
    """The server: the same events may arrive at every start, as they would from the ledger."""
    engine, store, _ = engine_of(state, sandbox=sandbox)
    engine.start()
    print("up", flush=True)
    runs = []
    for number, (path, text) in enumerate(workload()):
        event = TriggerEvent(
            name="push", ref="refs/heads/main", commit="c" * 40, actor="person:maria", cause=f"evt_{number}"
        )
        runs += engine.trigger(event, [(path, text)], Repository(name="shop"))
    for run in runs:
        while engine.wait(run, 5).status != "finished":
            pass
    engine.stop()
    store.close()


@dataclass
class Deaths:
    """Who was killed how often."""

    count: Counter[str] = field(default_factory=Counter)


def torture(state: Path, *, seed: int, kills: int, sandbox: bool) -> Deaths:
    """Runs the workload to its end with `kills` deaths on the way (fewer if it ends sooner)."""
    chance, deaths = random.Random(seed), Deaths()
    end = time.monotonic() + PATIENCE_SECONDS
    server = _start(state, sandbox=sandbox)
    while server.poll() is None:
        assert time.monotonic() < end, f"the workload does not end (seed {seed}); state in {state}"
        if sum(deaths.count.values()) < kills:
            time.sleep(chance.uniform(0.0, 0.35))
            victim = chance.choice(["server", "server", "runner", "runner", "nursery"])
            if _kill(victim, server, state, chance):
                deaths.count[victim] += 1
            if victim == "server":
                server.wait()
                server = _start(state, sandbox=sandbox)
        else:
            time.sleep(0.05)
    assert server.returncode == 0, f"the server ended with {server.returncode} (seed {seed}); {state}/server.log"
    return deaths


def _start(state: Path, *, sandbox: bool) -> subprocess.Popen[str]:
    with (state / "server.log").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, __file__, str(state), "sandbox" if sandbox else "plain"], stdout=subprocess.PIPE, stderr=log, text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(state), "PYTHONPATH": str(SRC)},
        )  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline() == "up\n", (state / "server.log").read_text()
    return server


def _kill(victim: str, server: subprocess.Popen[str], state: Path, chance: random.Random) -> bool:
    if victim == "server":
        server.kill()
        return True
    if victim == "nursery":
        found = [pid for pid in _processes() if _parent(pid) == server.pid]
    else:
        # Jobs are short, and after a server's death none may be at work yet.
        end = time.monotonic() + 0.5
        while not (found := _runners(state)) and time.monotonic() < end:
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.1))
        found = _runners(state) or found
    if not found:
        return False
    try:
        os.kill(chance.choice(found), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _runners(state: Path) -> list[int]:
    folders = [JobFolder(path.parent) for path in state.glob("jobs/*/*/*/launched.json")]
    return [folder.launched().pid for folder in folders if folder.alive()]


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def check(state: Path, *, sandbox: bool) -> int:
    """Asserts the truth of everything that ran; returns how many steps were cut off."""
    engine, store, ledger = engine_of(state, sandbox=sandbox)
    runs = engine.list(RunFilter(repository="shop"), limit=100).runs
    assert len(runs) == RUNS, "a run was lost, or started twice"
    cuts = 0
    for run in runs:
        detail = engine.get(run.id)
        text = engine.source(run.id)
        if text == FAILING:
            assert run.conclusion == "failure" and [job.conclusion for job in detail.jobs] == ["failure", "skipped"], (
                detail
            )
        elif run.conclusion == "cancelled":
            assert text == SHARED and all("took its place" in job.error for job in detail.jobs), detail
        else:
            assert run.conclusion == "success", detail
        for job in detail.jobs:
            if job.steps:
                cuts += _check_job(engine, state, run.id, job, detail.annotations)
        _check_ledger(ledger, run.id, detail)
    successful = [run.id for run in runs if run.conclusion == "success"]
    _check_effects(state, engine, successful)
    _check_kept(state, engine, successful)
    for path in state.glob("jobs/**/*"):
        assert not path.is_file() or "s3cr3t-value" not in path.read_text(errors="replace"), f"a secret in {path}"
    store.close()
    return cuts


def _check_job(engine: Engine, state: Path, run: str, job: object, annotations: object) -> int:
    """Every step finished once; who was cut off is reported; who was not ran once."""
    events = [
        json.loads(line)
        for line in (state / "jobs" / run / job.key / "1" / "events.jsonl").read_text().splitlines()  # type: ignore[attr-defined]
    ]
    finished = Counter(event["data"]["index"] for event in events if event["type"] == "step.finished")
    assert not finished or max(finished.values()) == 1, f"a finished step was repeated: {finished}"
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    said = Counter(line["text"] for line in engine.log(run, job.key).lines if line.get("stream", "out") == "out")  # type: ignore[attr-defined]
    cuts = 0
    for step in job.steps:  # type: ignore[attr-defined]
        cuts += step.cuts
        assert step.status == "finished"
        reports = [
            one for one in annotations if one.job == job.key and one.step == step.position and "cut off" in one.message
        ]  # type: ignore[attr-defined]
        assert len(reports) == step.cuts, f"{step.cuts} cuts of {job.key} {step.name}, {len(reports)} reports"  # type: ignore[attr-defined]
        if step.conclusion == "success" and f"end {step.name}" in said:
            assert 1 <= said[f"start {step.name}"] <= 1 + step.cuts
            assert 1 <= said[f"end {step.name}"] <= 1 + step.cuts
    return cuts


def _check_ledger(ledger: Ledger, run: str, detail: object) -> None:
    types = Counter(event.type for event in ledger.find(subjects=[f"run:{run}"], limit=500))
    ran = sum(job.conclusion != "skipped" for job in detail.jobs)  # type: ignore[attr-defined]
    assert types["run.queued"] == types["run.finished"] == 1 and types["job.finished"] == ran, types


def _check_effects(state: Path, engine: Engine, successful: list[str]) -> None:
    lines = effects(state / "effects")
    keys = Counter(line.split()[0] for line in lines)
    assert not keys or max(keys.values()) == 1, f"an effect was doubled: {keys.most_common(3)}"
    expected = sum(
        len([step for job in engine.get(run).jobs for step in job.steps if job.key == "deploy"]) == DEPLOY_STEPS
        for run in successful
    )
    assert len(lines) == 3 * expected, f"{len(lines)} effects of {expected} deployments"


def _check_kept(state: Path, engine: Engine, successful: list[str]) -> None:
    """Each artefact is there once, as the engine tells it, with its bytes; each cache once."""
    for run in successful:
        folder = state / "artifacts" / run
        kept = {path.stem: json.loads(path.read_text())["digest"] for path in (folder / "names").glob("*.json")}
        assert kept == {one.name: one.digest for one in engine.artifacts(run)}, run
        assert sorted(kept) == ["dist", "report-1", "report-2", "report-3"], kept
        blobs = Blobs(folder / "blobs")
        for digest in kept.values():
            assert f"sha256:{hashlib.sha256(blobs.read(digest)).hexdigest()}" == digest
    caches = Caches(state / "caches" / "shop")
    keys = Counter(entry.key for entry in caches.entries())
    for key in (f"{kind}-{run}" for run in successful for kind in ("deps", "end")):
        assert keys[key] == 1, f"{keys[key]} caches with the key {key}"
    assert all(caches.blobs.has(entry.digest) for entry in caches.entries())


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sandbox=sys.argv[2] == "sandbox")
