"""The engine with a database and real runner processes, through its own front door."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from opsroom.kernel.clock import SystemClock
from opsroom.kernel.errors import Conflict, NotFound
from opsroom.kernel.journal import Journal
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.migrations import KERNEL_MIGRATIONS, migrate
from opsroom.kernel.queue import Queue
from opsroom.kernel.settings import Settings
from opsroom.kernel.store import Store
from opsroom.workflows import sandbox
from opsroom.workflows.actions import ActionError, ActionRequest, ActionWaiting
from opsroom.workflows.engine import Engine, Policy, Repository, TriggerEvent
from opsroom.workflows.scheduler.nursery import RUNNER
from opsroom.workflows.store import MIGRATIONS
from opsroom.workflows.views import Run, RunFilter

SIMPLE = (str(Path(__file__).parent), "simple_runner")
SHOP = Repository(name="shop/storefront", service="storefront")
PUSH = TriggerEvent(
    name="push", ref="refs/heads/main", commit="c" * 40, actor="person:maria", repository="shop/storefront", cause=""
)


@dataclass
class Host:
    """Actions of the plane: `approve` waits until it may go on, `deploy` counts its effects by key."""

    effects: dict[str, int] = field(default_factory=dict)
    approved: threading.Event = field(default_factory=threading.Event)
    inputs: list[dict[str, str]] = field(default_factory=list)

    def permission(self, uses: str) -> tuple[str, str] | None:
        if uses not in ("opsroom/deploy", "opsroom/approve", "opsroom/hang"):
            raise NotFound(f"there is no action {uses}")
        return ("deployments", "write") if uses == "opsroom/deploy" else None

    def run(self, request: ActionRequest) -> Mapping[str, str]:
        if request.uses == "opsroom/approve" and not self.approved.is_set():
            raise ActionWaiting("the approval of the release managers", seconds=0.05)
        if request.uses == "opsroom/hang":
            while not request.cancelled():
                time.sleep(0.01)
            raise ActionError("told to stop")
        self.inputs.append(dict(request.inputs))
        if request.inputs.get("version") == "bad":
            raise ActionError("version bad is not known")
        request.log("deploying")
        request.summary("### Deployed")
        self.effects[request.key] = self.effects.get(request.key, 0) + 1
        return {"url": "http://127.0.0.1:1"}

    def recover(self, request: ActionRequest) -> Mapping[str, str] | None:
        return {"url": "http://127.0.0.1:1"} if request.key in self.effects else None


@dataclass
class Bench:
    """An engine on a state folder; `restart` is what a killed server and its successor do."""

    state: Path
    store: Store
    host: Host
    settings: Settings
    engine: Engine = field(init=False)
    ledger: Ledger = field(init=False)
    problem: str = ""
    runner: tuple[str, str] = SIMPLE

    def __post_init__(self) -> None:
        self.build()

    def build(self) -> None:
        clock = SystemClock()
        self.ledger = Ledger(self.store, clock)
        self.engine = Engine(
            store=self.store, ledger=self.ledger, queue=Queue(self.store, clock), clock=clock, journal=Journal(clock),
            settings=self.settings, actions=self.host, secrets=lambda record, job: {"TOKEN": "s3cr3t"},
            mask_key=lambda job: hashlib.sha256(job.encode()).digest(),
            sandbox_problem=lambda: self.problem, runner=self.runner, price_version=lambda: "2026-01",
        )  # fmt: skip

    def push(
        self, text: str, *, path: str = ".opsroom/workflows/ci.yml", cause: str = "", repository: Repository = SHOP
    ) -> str:
        event = TriggerEvent(
            name="push",
            ref="refs/heads/main",
            commit="c" * 40,
            actor="person:maria",
            repository=repository.name,
            cause=cause,
        )
        return self.engine.trigger(event, [(path, text)], repository)[0]

    def finish(self, run: str, timeout: float = 20) -> Run:
        found = self.engine.wait(run, timeout)
        assert found.status == "finished", self.engine.get(run)
        return found

    def until(self, run: str, job: str, status: str) -> None:
        end = time.monotonic() + 10
        while not any(one.key == job and one.status == status for one in self.engine.get(run).jobs):
            assert time.monotonic() < end, self.engine.get(run)
            time.sleep(0.01)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    store = Store(f"sqlite:///{tmp_path / 'state' / 'opsroom.sqlite'}")
    migrate(store, (*KERNEL_MIGRATIONS, *MIGRATIONS))
    made = Bench(tmp_path / "state", store, Host(), Settings(state=tmp_path / "state", job_slots=2))
    made.engine.start()
    yield made
    made.engine.stop()
    store.close()


def workflow(jobs: str, head: str = "on: push") -> str:
    return f"{head}\njobs:\n{jobs}"


STEPS = "    runs-on: ubuntu-latest\n    steps:\n"


def test_a_push_runs_its_jobs_in_order_and_records_it(bench: Bench) -> None:
    text = workflow(
        f"  build:\n{STEPS}      - run: echo one\n      - run: echo two\n"
        f"  deploy:\n    needs: build\n    permissions: {{deployments: write}}\n{STEPS}      - uses: opsroom/deploy\n        with: {{version: v1}}\n"
    )
    run = bench.push(text)
    found = bench.finish(run)
    assert (found.conclusion, found.number, found.service, found.price_version) == (
        "success",
        1,
        "storefront",
        "2026-01",
    )
    detail = bench.engine.get(run)
    assert [(job.key, job.conclusion, len(job.steps)) for job in detail.jobs] == [
        ("build", "success", 2),
        ("deploy", "success", 1),
    ]
    assert detail.summaries == ("### Deployed",)
    assert list(bench.host.effects.values()) == [1]
    events = bench.ledger.find(subjects=[f"run:{run}"], newest_first=False)
    assert [event.type for event in events] == [
        "run.queued",
        "run.started",
        "job.finished",
        "job.finished",
        "run.finished",
    ]
    assert events[0].actor == "person:maria" and events[-1].cause == events[0].id
    assert events[-1].subject("service") == "storefront" and events[-1].subject("commit") == "c" * 40
    log = bench.engine.log(run, "build")
    assert [line["text"] for line in log.lines] == ["one", "two"]
    assert bench.engine.log(run, "build", after=log.next).ended
    assert "deploying" in [line["text"] for line in bench.engine.log(run, "deploy").lines]
    assert "s3cr3t" not in "".join(path.read_text() for path in bench.state.glob("jobs/**/*.json*"))


def test_a_matrix_runs_its_combinations_and_one_failure_stops_the_rest(bench: Bench) -> None:
    text = workflow(
        "  test:\n    strategy: {matrix: {n: [1, 2, 3]}, max-parallel: 1}\n" + STEPS + "      - run: exit 1\n"
    )
    run = bench.push(text)
    assert bench.finish(run).conclusion == "failure"
    jobs = bench.engine.get(run).jobs
    assert [job.conclusion for job in jobs] == ["failure", "cancelled", "cancelled"]
    assert "fail-fast" in jobs[1].error


def test_the_same_cause_starts_a_workflow_once(bench: Bench) -> None:
    text = workflow(f"  a:\n{STEPS}      - run: 'true'\n")
    assert bench.push(text, cause="evt_1") == bench.push(text, cause="evt_1")
    assert bench.push(text, cause="evt_2") != bench.push(text, cause="evt_1")


def test_a_malformed_workflow_is_a_run_that_fails_and_says_where(bench: Bench) -> None:
    run = bench.push("on: push\njobs:\n  a:\n    stepz: []\n")
    assert bench.finish(run).conclusion == "failure"
    [job] = bench.engine.get(run).jobs
    assert ".opsroom/workflows/ci.yml:4" in job.error


def test_a_cut_off_step_is_reported_and_started_again(bench: Bench) -> None:
    run = bench.push(workflow(f"  a:\n{STEPS}      - run: echo one\n      - run: crash\n      - run: echo three\n"))
    assert bench.finish(run).conclusion == "success"
    detail = bench.engine.get(run)
    assert [step.cuts for step in detail.jobs[0].steps] == [0, 1, 0]
    assert any("cut off" in one.message and one.level == "warning" for one in detail.annotations)
    assert [line["text"] for line in bench.engine.log(run, "a").lines] == ["one", "three"]
    [finished] = bench.ledger.find(types=["run.finished"])
    assert finished.data["cut_off_steps"] == 1


def test_the_policy_may_say_that_a_cut_off_step_fails(bench: Bench) -> None:
    strict = Repository(name="shop/storefront", policies={".opsroom/workflows/ci.yml": Policy(cut_off="fail")})
    text = workflow(f"  a:\n{STEPS}      - run: crash\n      - run: echo always\n        if: always()\n")
    run = bench.push(text, repository=strict)
    assert bench.finish(run).conclusion == "failure"
    assert [step.conclusion for step in bench.engine.get(run).jobs[0].steps] == ["failure", "success"]


def test_a_missing_permission_fails_the_step_and_names_the_scope(bench: Bench) -> None:
    run = bench.push(workflow(f"  a:\n{STEPS}      - uses: opsroom/deploy\n"))
    assert bench.finish(run).conclusion == "failure"
    [step] = bench.engine.get(run).jobs[0].steps
    assert "add `deployments: write` under `permissions:`" in step.error and "\n" not in step.error
    assert not bench.host.effects


def test_an_approval_waits_with_its_reason_and_takes_no_slot(bench: Bench) -> None:
    run = bench.push(workflow(f"  a:\n{STEPS}      - uses: opsroom/approve\n      - run: echo after\n"))
    end = time.monotonic() + 10
    while not any("approval of the release managers" in wait.reason for wait in bench.engine.why_waiting(run)):
        assert time.monotonic() < end
    other = bench.push(workflow(f"  b:\n{STEPS}      - run: echo other\n"), path="other.yml")
    assert bench.finish(other).conclusion == "success"
    bench.host.approved.set()
    assert bench.finish(run).conclusion == "success"


def test_a_cancelled_run_stops_and_its_always_steps_run(bench: Bench) -> None:
    text = workflow(
        f"  a:\n{STEPS}      - run: sleep 60\n      - run: echo cleaned\n        if: always()\n  b:\n    needs: a\n{STEPS}      - run: echo no\n"
    )
    run = bench.push(text)
    bench.until(run, "a", "running")
    bench.engine.cancel(run, actor="person:maria")
    found = bench.finish(run)
    detail = bench.engine.get(run)
    assert found.conclusion == "cancelled" and [job.conclusion for job in detail.jobs] == ["cancelled", "skipped"]
    assert [line["text"] for line in bench.engine.log(run, "a").lines] == ["cleaned"]
    assert detail.jobs[0].error == "cancelled by person:maria"
    with pytest.raises(Conflict, match="finished already"):
        bench.engine.cancel(run, actor="person:maria")


def test_cancelling_reaches_an_action_in_the_plane(bench: Bench) -> None:
    run = bench.push(workflow(f"  a:\n{STEPS}      - uses: opsroom/hang\n"))
    bench.until(run, "a", "in_action")
    bench.engine.cancel(run, actor="person:maria")
    assert bench.finish(run).conclusion in ("cancelled", "failure")


def test_slots_limit_and_who_waits_is_told_why(bench: Bench, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    hold = workflow(f"  a:\n{STEPS}      - run: while [ ! -e {gate} ]; do sleep 0.01; done\n")
    first = [bench.push(hold, path=f"hold{n}.yml") for n in range(2)]
    for run in first:
        bench.until(run, "a", "running")
    late = bench.push(hold, path="late.yml")
    bench.until(late, "a", "queued")
    [wait] = bench.engine.why_waiting(late)
    assert wait.reason.startswith("a free slot: 2 on this machine, now taken by ") and first[0] in wait.reason
    gate.touch()
    assert {bench.finish(run).conclusion for run in (*first, late)} == {"success"}


def test_a_concurrency_group_queues_and_a_newer_run_replaces_the_waiting_one(bench: Bench, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    text = workflow(
        f"  a:\n{STEPS}      - run: while [ ! -e {gate} ]; do sleep 0.01; done\n", "on: push\nconcurrency: prod"
    )
    one, two, three = (bench.push(text, path=f"w{n}.yml") for n in range(3))
    bench.until(one, "a", "running")
    assert bench.finish(two).conclusion == "cancelled"
    assert three in bench.engine.get(two).jobs[0].error and "prod" in bench.engine.get(two).jobs[0].error
    assert one in bench.engine.why_waiting(three)[0].reason
    gate.touch()
    assert bench.finish(one).conclusion == bench.finish(three).conclusion == "success"


def test_a_job_cannot_wait_for_the_group_that_its_own_run_holds(bench: Bench) -> None:
    text = workflow(f"  a:\n    concurrency: Prod\n{STEPS}      - run: echo\n").replace(
        "on: push\n", "on: push\nconcurrency: prod\n"
    )
    run = bench.finish(bench.push(text))
    job = bench.engine.get(run.id).jobs[0]
    assert job.conclusion == "cancelled" and "the run itself holds concurrency group Prod" in job.error
    assert bench.finish(bench.push(text)).status == "finished", "the group is free again"


def test_cancel_in_progress_stops_the_run_that_has_the_group(bench: Bench) -> None:
    text = workflow(
        f"  a:\n{STEPS}      - run: sleep 60\n", "on: push\nconcurrency: {group: prod, cancel-in-progress: true}"
    )
    one = bench.push(text)
    bench.until(one, "a", "running")
    quick = text.replace("sleep 60", "echo quick")
    two = bench.push(quick)
    assert bench.finish(one).conclusion == "cancelled"
    assert bench.finish(two).conclusion == "success"


def test_one_job_is_run_again_with_what_needs_it(bench: Bench) -> None:
    text = workflow(
        f"  a:\n{STEPS}      - run: echo a\n  b:\n    needs: a\n{STEPS}      - run: echo b\n  c:\n    needs: b\n{STEPS}      - run: echo c\n"
    )
    run = bench.push(text)
    bench.finish(run)
    with pytest.raises(NotFound, match="no job 'nix'"):
        bench.engine.rerun(run, actor="person:maria", job="nix")
    bench.engine.rerun(run, actor="person:maria", job="b")
    found = bench.finish(run)
    assert (found.conclusion, found.attempt) == ("success", 2)
    assert [(job.key, job.attempt) for job in bench.engine.get(run).jobs] == [("a", 1), ("b", 2), ("c", 2)]
    queued = bench.ledger.find(types=["run.queued"])[0]
    assert queued.actor == "person:maria" and queued.data["attempt"] == 2
    with pytest.raises(Conflict, match="no failed job"):
        bench.engine.rerun(run, actor="person:maria", failed_only=True)


def test_without_a_sandbox_only_what_an_admin_listed_runs(bench: Bench) -> None:
    bench.problem = "the kernel refuses user namespaces"
    text = workflow(f"  a:\n{STEPS}      - run: echo a\n")
    run = bench.push(text)
    assert bench.finish(run).conclusion == "failure"
    assert "the kernel refuses user namespaces" in bench.engine.get(run).jobs[0].error
    bench.engine.stop()
    bench.settings = Settings(state=bench.state, unsandboxed="ok.yml")
    bench.build()
    bench.engine.start()
    assert bench.finish(bench.push(text, path="ok.yml")).conclusion == "success"


def test_runs_are_taken_up_by_the_next_server(bench: Bench, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    text = workflow(
        f"  a:\n{STEPS}      - run: while [ ! -e {gate} ]; do sleep 0.01; done\n      - uses: opsroom/approve\n      - run: echo end\n"
    )
    run = bench.push(text)
    bench.until(run, "a", "running")
    first = bench.engine
    bench.build()
    with pytest.raises(Conflict, match="another Opsroom process"):
        bench.engine.start()
    first.stop()
    bench.engine.start()
    gate.touch()
    bench.until(run, "a", "in_action")
    bench.engine.stop()
    bench.host.approved.set()
    bench.build()
    bench.engine.start()
    assert bench.finish(run).conclusion == "success"
    assert [line["text"] for line in bench.engine.log(run, "a").lines] == ["deploying", "end"]


def test_lists_are_filtered_and_paged(bench: Bench) -> None:
    text = workflow(f"  a:\n{STEPS}      - run: 'true'\n")
    runs = [bench.push(text, path=f"w{n % 2}.yml") for n in range(5)]
    page = bench.engine.list(RunFilter(workflow="w0.yml"), limit=2)
    assert [run.id for run in page.runs] == [runs[4], runs[2]] and page.runs[0].number == 3
    assert [run.id for run in bench.engine.list(RunFilter(workflow="w0.yml"), cursor=page.next).runs] == [runs[0]]
    assert bench.engine.list(RunFilter(event="schedule")).runs == ()
    with pytest.raises(NotFound, match="run 'run_x' does not exist"):
        bench.engine.get("run_x")


def test_a_dispatch_checks_its_inputs(bench: Bench) -> None:
    text = workflow(
        f"  a:\n{STEPS}      - run: 'true'\n",
        "on:\n  workflow_dispatch:\n    inputs:\n      n: {type: number, required: true}",
    )
    make = {"repository": SHOP, "ref": "refs/heads/main", "commit": "c" * 40, "actor": "person:maria"}
    with pytest.raises(Exception, match="'n' is required"):
        bench.engine.dispatch("d.yml", text, {}, **make)  # type: ignore[arg-type]
    run = bench.engine.dispatch("d.yml", text, {"n": "3"}, **make)  # type: ignore[arg-type]
    assert bench.finish(run).event == "workflow_dispatch"


OUTER = """name: outer
outputs: {url: {value: "${{ steps.in.outputs.url }}"}, said: {value: "${{ steps.last.outputs.said }}"}}
runs:
  using: composite
  steps:
    - {shell: bash, run: 'echo outer-begins; echo "FROM=outer" >> "$GITHUB_ENV"; echo "$PWD/tools" >> "$GITHUB_PATH"'}
    - {id: in, uses: ./inner, with: {version: "1"}}
    - {id: skipped, if: failure(), shell: bash, run: echo never}
    - {id: bad, uses: opsroom/deploy, with: {version: bad}, continue-on-error: true}
    - {uses: opsroom/approve}
    - {id: last, shell: bash, run: 'echo "said=${{ steps.in.outputs.url }} ${{ steps.bad.outcome }} ${{ steps.skipped.outcome }} $FROM" >> "$GITHUB_OUTPUT"'}
"""
INNER = """name: inner
inputs: {version: {required: true}}
outputs: {url: {value: "${{ steps.d.outputs.url }}"}}
runs:
  using: composite
  steps:
    - {shell: bash, run: echo inner-begins}
    - {id: d, uses: opsroom/deploy, with: {version: "${{ inputs.version }}-${{ env.FROM }}"}}
    - {shell: bash, run: 'echo inner-ends ${{ steps.d.outputs.url }}'}
"""


def test_actions_of_the_plane_inside_composite_actions_have_one_effect_and_repeat_nothing(bench: Bench) -> None:
    if not (found := sandbox.probe()).available:
        pytest.skip(f"no sandbox on this machine: {found.reason}")
    bench.engine.stop()
    bench.runner = RUNNER
    bench.build()
    bench.engine.start()
    write = "".join(
        f"          mkdir {name}; cat > {name}/action.yml <<'END'\n"
        + "".join(f"          {line}\n" for line in text.splitlines())
        + "          END\n"
        for name, text in (("outer", OUTER.replace("${{", "$~{{")), ("inner", INNER.replace("${{", "$~{{")))
    )
    text = workflow(
        f"  a:\n    permissions: {{deployments: write}}\n{STEPS}"
        f"      - run: |\n{write}          sed -i 's/[$]~/$/g' outer/action.yml inner/action.yml\n"
        "      - {id: o, uses: ./outer}\n"
        "      - run: echo after ${{ steps.o.outputs.url }} $FROM; echo ${{ steps.o.outputs.said }}; basename ${PATH%%:*}\n"
    )
    run = bench.push(text)
    end = time.monotonic() + 20
    while "approval" not in (bench.engine.get(run).jobs[0].waiting if bench.engine.get(run).jobs else ""):
        assert time.monotonic() < end, bench.engine.get(run)
        time.sleep(0.02)
    bench.engine.stop()
    bench.host.approved.set()
    bench.build()
    bench.engine.start()
    assert bench.finish(run).conclusion == "success", bench.engine.log(run, "a").lines
    assert [one.get("version") for one in bench.host.inputs] == ["1-outer", "bad", None]
    assert len(bench.host.effects) == 2 and set(bench.host.effects.values()) == {1}
    out = [line["text"] for line in bench.engine.log(run, "a").lines if line.get("stream", "out") == "out"]
    assert [one for one in out if one not in ("deploying", "Error: version bad is not known")] == [
        "outer-begins",
        "inner-begins",
        "inner-ends http://127.0.0.1:1",
        "after http://127.0.0.1:1 outer",
        "http://127.0.0.1:1 failure skipped outer",
        "tools",
    ]


def test_a_secret_reaches_steps_and_actions_and_no_file(bench: Bench) -> None:
    if not (found := sandbox.probe()).available:
        pytest.skip(f"no sandbox on this machine: {found.reason}")
    bench.engine.stop()
    bench.runner = RUNNER
    bench.build()
    bench.engine.start()
    text = workflow(
        f"  a:\n    permissions: {{deployments: write}}\n{STEPS}      - run: echo ${{{{ secrets.TOKEN }}}}\n"
        "      - uses: opsroom/deploy\n        with: {version: 'v-${{ secrets.TOKEN }}'}\n"
        "      - uses: opsroom/deploy\n        with: {version: bad}\n"
    )
    run = bench.push(text)
    assert bench.finish(run).conclusion == "failure"
    assert bench.host.inputs[0] == {"version": "v-s3cr3t"}
    assert [line["text"] for line in bench.engine.log(run, "a").lines if line.get("stream", "out") == "out"] == [
        "***",
        "deploying",
        "Error: version bad is not known",
    ]
    assert bench.engine.get(run).jobs[0].steps[2].error == "version bad is not known"
    bench.engine.stop()
    for path in bench.state.rglob("*"):
        assert not path.is_file() or b"s3cr3t" not in path.read_bytes(), path


def test_what_a_job_masks_stays_hidden_and_usable_after_the_plane_had_it(bench: Bench) -> None:
    """As at GitHub, where one runner has the job from end to end: here one hands it over, and another goes on."""
    bench.engine.stop()
    bench.runner = RUNNER
    bench.problem = "none here"
    bench.settings = dataclasses.replace(bench.settings, unsandboxed="*")
    bench.build()
    bench.engine.start()
    text = workflow(
        f"  a:\n    permissions: {{deployments: write}}\n{STEPS}"
        "      - id: t\n        run: |\n          v=$(printf found; printf later)\n          echo ::add-mask::$v\n"
        "          echo t=$v >> $GITHUB_OUTPUT\n          echo E=$v >> $GITHUB_ENV\n          echo /opt/$v >> $GITHUB_PATH\n"
        "      - uses: opsroom/deploy\n        with: {version: 'v-${{ steps.t.outputs.t }}'}\n"
        "      - run: |\n          echo $E ${{ steps.t.outputs.t }} $(printf found; printf later)\n"
        '          [ "$E" = "$(printf found; printf later)" ]\n          [ "${PATH%%:*}" = "/opt/$E" ]\n'
    )
    run = bench.push(text)
    assert bench.finish(run).conclusion == "success"
    assert bench.host.inputs[0] == {"version": "v-foundlater"}
    said = [line["text"] for line in bench.engine.log(run, "a").lines if line.get("stream", "out") == "out"]
    assert said[-1] == "*** *** ***"
    bench.engine.stop()
    for path in bench.state.rglob("*"):
        assert not path.is_file() or b"foundlater" not in path.read_bytes(), path
