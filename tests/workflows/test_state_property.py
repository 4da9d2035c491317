"""The pure state machine against a hostile world: random order, runners that die, events that come twice."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsroom.kernel.clock import stamp
from opsroom.workflows import moves as m
from opsroom.workflows.protocol import RunnerEvent
from opsroom.workflows.run import JobState, Node, RunState, decode_run, encode, waits
from opsroom.workflows.state import step

T = TypeVar("T")


@dataclass
class Runner:
    """A scripted runner of one launch: alive until it ends, is killed, or suspends at an action."""

    job: str
    attempt: int
    launch: int
    at: int
    begun: bool = False
    in_step: bool = False
    cancelled: bool = False


@dataclass
class World:
    """Everything outside the pure machine: it carries out commands in any order and may fail at any moment."""

    chance: random.Random
    run: RunState
    kills: int
    now: datetime = datetime(2026, 1, 5, tzinfo=UTC)
    decides: list[m.DecideJob] = field(default_factory=list)
    starts: list[m.StartJob | m.ResumeJob] = field(default_factory=list)
    runners: list[Runner] = field(default_factory=list)
    dead: list[Runner] = field(default_factory=list)
    actions: list[m.RunAction] = field(default_factory=list)
    timers: dict[str, float] = field(default_factory=dict)
    groups: list[m.AcquireConcurrency] = field(default_factory=list)
    seqs: dict[tuple[str, int], int] = field(default_factory=dict)
    finished_steps: dict[tuple[str, int, int], int] = field(default_factory=dict)
    past: list[m.Event] = field(default_factory=list)
    ended: int = 0
    steps_per_job: int = 3

    def tell(self, event: m.Event) -> None:
        self.now += timedelta(seconds=1)
        self.past.append(event)
        before = self.run
        self.run, commands = step(before, event, self.now)
        again, nothing = step(self.run, event, self.now)
        assert again == self.run and not nothing, f"{event} changed something the second time"
        assert decode_run(json.loads(json.dumps(encode(self.run)))) == self.run
        for command in commands:
            self.obey(command)

    def obey(self, command: m.Command) -> None:
        match command:
            case m.DecideJob():
                self.decides.append(command)
            case m.StartJob() | m.ResumeJob():
                self.starts.append(command)
            case m.RunAction():
                self.actions.append(command)
            case m.SetTimer():
                self.timers[command.name] = command.seconds
            case m.DropTimer():
                self.timers.pop(command.name, None)
            case m.AcquireConcurrency():
                self.groups.append(command)
            case m.ReleaseConcurrency():
                self.groups = [g for g in self.groups if (g.job, g.attempt) != (command.job, command.attempt)]
            case m.CancelJob():
                self.cancel(command)
            case m.FinishRun():
                self.ended += 1
            case _:
                pass

    def cancel(self, command: m.CancelJob) -> None:
        for runner in self.runners:
            if (runner.job, runner.attempt) == (command.job, command.attempt):
                runner.cancelled = True
        if command.force:
            killed = [r for r in self.runners if (r.job, r.attempt) == (command.job, command.attempt)]
            self.runners = [r for r in self.runners if r not in killed]
            self.dead += killed

    # -- what the world may do next

    def choices(self) -> list[str]:
        found = ["decide"] * bool(self.decides) + ["start"] * bool(self.starts) + ["runner"] * (2 * bool(self.runners))
        found += ["action"] * bool(self.actions) + ["grant"] * bool(self.groups)
        found += ["timer"] * any(name.startswith("again/") for name in self.timers)
        found += ["lost"] * bool(self.dead)
        if self.kills and self.runners:
            found.append("kill")
        return found

    def advance(self, what: str) -> None:
        getattr(self, f"do_{what}")()

    def pick(self, things: list[T]) -> T:
        return things.pop(self.chance.randrange(len(things)))

    def do_decide(self) -> None:
        asked = self.pick(self.decides)
        fate = self.chance.randrange(10)
        if fate == 0:
            self.tell(m.JobDecided(node=asked.node, attempt=asked.attempt, skipped=True))
        elif fate == 1:
            self.tell(m.JobDecided(node=asked.node, attempt=asked.attempt, error="bad expression"))
        else:
            count = self.chance.choice([0, 1, 1, 1, 2, 4])
            plans = tuple(self.plan(asked.node, number, count) for number in range(count))
            event = m.JobDecided(
                node=asked.node, attempt=asked.attempt, jobs=plans, fail_fast=self.chance.random() < 0.5,
                max_parallel=self.chance.choice([0, 0, 1, 2]),
            )  # fmt: skip
            self.tell(event)

    def plan(self, node: str, number: int, count: int) -> m.JobPlan:
        return m.JobPlan(
            name=f"{node} ({number})", matrix={"n": number} if count > 1 else {}, group=self.chance.choice(["", "", "prod"]),
            outlives_cancel=self.chance.random() < 0.2, continue_on_error=self.chance.random() < 0.2,
        )  # fmt: skip

    def do_grant(self) -> None:
        asked = self.pick(self.groups)
        self.groups.append(asked)
        self.tell(m.ConcurrencyGranted(job=asked.job, attempt=asked.attempt))
        self.groups = [g for g in self.groups if g is not asked]

    def do_start(self) -> None:
        command = self.pick(self.starts)
        job = self.run.job(command.job)
        if job is None or job.attempt != command.attempt or job.launch != command.launch or job.status != "queued":
            return
        fate = self.chance.random()
        if fate < 0.05:
            self.tell(m.JobRefused(job=job.key, attempt=job.attempt, launch=job.launch, reason="no sandbox here"))
        elif job.stopping and fate < 0.5:
            self.tell(m.RunnerLost(job=job.key, attempt=job.attempt, launch=job.launch))
        else:
            at = command.start_at if isinstance(command, m.ResumeJob) else 0
            self.runners.append(Runner(job=job.key, attempt=job.attempt, launch=job.launch, at=at))

    def say(self, runner: Runner, type: str, **data: object) -> None:
        key = (runner.job, runner.attempt)
        self.seqs[key] = self.seqs.get(key, 0) + 1
        event = RunnerEvent(seq=self.seqs[key], at=stamp(self.now), type=type, data=data)
        self.tell(m.RunnerSaid(job=runner.job, attempt=runner.attempt, event=event))

    def do_runner(self) -> None:
        runner = self.chance.choice(self.runners)
        if not runner.begun:
            runner.begun = True
            self.say(runner, "job.started", pid=1, sandbox="none")
        elif runner.in_step:
            self.end_step(runner)
        elif runner.cancelled or runner.at >= self.steps_per_job:
            self.runners.remove(runner)
            conclusion = "cancelled" if runner.cancelled else self.chance.choice(["success", "success", "failure"])
            self.say(runner, "job.finished", conclusion=conclusion, outputs={"x": "1"}, cpu_seconds=0.1)
        elif self.chance.random() < 0.25:
            self.runners.remove(runner)
            self.say(runner, "job.suspended", index=runner.at, uses="opsroom/deploy", inputs={}, env={})
        else:
            runner.in_step = True
            self.say(runner, "step.started", index=runner.at, id=f"s{runner.at}", name="")

    def end_step(self, runner: Runner) -> None:
        job = self.run.job(runner.job)
        if job is not None and job.attempt == runner.attempt and job.status != "finished":
            key = (runner.job, runner.attempt, runner.at)
            self.finished_steps[key] = self.finished_steps.get(key, 0) + 1
        outcome = "cancelled" if runner.cancelled else "success"
        self.say(
            runner,
            "step.finished",
            index=runner.at,
            id=f"s{runner.at}",
            outcome=outcome,
            conclusion=outcome,
            cpu_seconds=0.1,
        )
        runner.at, runner.in_step = runner.at + 1, False

    def do_kill(self) -> None:
        self.kills -= 1
        self.dead.append(self.pick(self.runners))

    def do_lost(self) -> None:
        runner = self.pick(self.dead)
        self.tell(m.RunnerLost(job=runner.job, attempt=runner.attempt, launch=runner.launch))

    def do_action(self) -> None:
        asked = self.pick(self.actions)
        fate, job = self.chance.random(), self.run.job(asked.job)
        if fate < 0.2:  # The server died in the middle: the stored intent is taken up again.
            self.actions.append(asked)
        elif fate < 0.4:
            self.tell(
                m.ActionWaits(
                    job=asked.job,
                    attempt=asked.attempt,
                    index=asked.index,
                    tries=asked.tries,
                    reason="approval",
                    seconds=5,
                )
            )
        else:
            error = "refused" if fate < 0.5 else ""
            cancelled = job is not None and bool(job.stopping)
            key = (asked.job, asked.attempt, asked.index)
            held = None if job is None else next((s for s in job.steps if s.index == asked.index), None)
            if job is not None and job.attempt == asked.attempt and held is not None and held.status == "in_action":
                self.finished_steps[key] = self.finished_steps.get(key, 0) + 1
            self.tell(
                m.ActionEnded(job=asked.job, attempt=asked.attempt, index=asked.index, error=error, cancelled=cancelled)
            )

    def do_timer(self) -> None:
        name = self.chance.choice([name for name in self.timers if name.startswith("again/")])
        del self.timers[name]
        self.tell(m.TimerFired(name=name))

    def disturb(self) -> None:
        """Something a person or a bad network does: an old event again, a cancellation, a timeout that fires."""
        fate = self.chance.random()
        if fate < 0.5 and self.past:
            before = self.run
            old = self.chance.choice(self.past)
            if not isinstance(old, m.CancelAsked):
                after, commands = step(before, old, self.now)
                assert after == before and not commands, f"{old} arrived again and changed something"
        elif fate < 0.6:
            self.tell(
                m.CancelAsked(
                    attempt=self.run.attempt, reason="asked", by="person:maria", force=self.chance.random() < 0.3
                )
            )
        elif fate < 0.7 and self.timers:
            self.tell(m.TimerFired(name=self.chance.choice(list(self.timers))))
        elif fate < 0.75:
            jobs = list(self.run.jobs())
            if jobs:
                self.tell(m.CancelAsked(attempt=self.run.attempt, reason="replaced", job=self.chance.choice(jobs).key))


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Node, ...]:
    count = draw(st.integers(1, 5))
    nodes = []
    for number in range(count):
        needs = draw(st.sets(st.integers(0, number - 1), max_size=2)) if number else set()
        nodes.append(Node(id=f"j{number}", needs=tuple(f"j{need}" for need in sorted(needs))))
    return tuple(draw(st.permutations(nodes)))


def check(world: World) -> None:
    """Invariants of every reachable state."""
    run = world.run
    stated = {wait.job for wait in waits(run)}
    for node in run.nodes:
        if run.status == "running" and node.status == "waiting":
            assert node.id in stated
        for job in node.jobs:
            if job.status in ("waiting", "queued"):
                assert job.waiting and job.key in stated, job
            if job.status == "finished":
                assert job.conclusion and all(s.status == "finished" and s.result for s in job.steps)
    for key, times in world.finished_steps.items():
        assert times == 1, f"step {key} finished {times} times"
    if run.status != "finished":
        assert world.choices(), f"nothing can happen any more, and nothing says why: {run}"


WORLDS = (
    graphs(),
    st.randoms(use_true_random=False),
    st.integers(0, 12),
    st.sampled_from([0.0, 0.0, 0.05, 0.3]),
    st.sampled_from(["", "g"]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(*WORLDS)
def test_every_interleaving_ends_and_no_finished_step_is_repeated(
    nodes: tuple[Node, ...], chance: random.Random, kills: int, unrest: float, group: str
) -> None:
    live_through(nodes, chance, kills, unrest, group)


@pytest.mark.slow
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(*WORLDS)
def test_every_interleaving_ends_at_length(
    nodes: tuple[Node, ...], chance: random.Random, kills: int, unrest: float, group: str
) -> None:
    live_through(nodes, chance, kills, unrest, group)


def live_through(nodes: tuple[Node, ...], chance: random.Random, kills: int, unrest: float, group: str) -> None:
    """A run and a re-run of one of its jobs, each to its end."""
    world = World(chance=chance, kills=kills, run=RunState(id="run_1", nodes=nodes, group=group))
    world.tell(m.RunRequested())
    for attempt in (1, 2):
        play(world, unrest)
        assert world.run.status == "finished" and world.run.conclusion and world.ended == attempt
        assert all(node.result for node in world.run.nodes)
        kept = {node.id: node for node in world.run.nodes}
        chosen = (chance.choice(world.run.nodes).id,)
        world.tell(m.RerunAsked(attempt=attempt + 1, nodes=chosen))
        for node in world.run.nodes:
            if node.id not in chosen and not depends(world.run, node.id, chosen[0]):
                assert node == kept[node.id], "a job that was not asked for lost its result"


def play(world: World, unrest: float) -> None:
    for _ in range(3000):
        check(world)
        if world.run.status == "finished":
            return
        if world.chance.random() < unrest:
            world.disturb()
        elif choices := world.choices():
            world.advance(world.chance.choice(choices))
    raise AssertionError("the run does not come to an end")


def depends(run: RunState, id: str, on: str) -> bool:
    node = run.node(id)
    assert node is not None
    return any(need == on or depends(run, need, on) for need in node.needs)


@given(st.integers(0, 6))
def test_a_cut_off_step_is_retried_as_often_as_the_policy_says(retries: int) -> None:
    run = RunState(id="run_1", nodes=(Node(id="a"),), step_retries=retries)
    now = datetime(2026, 1, 5, tzinfo=UTC)
    run, _ = step(run, m.RunRequested(), now)
    run, _ = step(run, m.JobDecided(node="a", attempt=1, jobs=(m.JobPlan(name="a"),)), now)
    seq, starts = 0, 0
    while (job := run.job("a")) is not None and (not job.steps or job.steps[0].result is None):
        for type, data in (("job.started", {}), ("step.started", {"index": 0, "id": "s"})):
            seq += 1
            run, _ = step(
                run,
                m.RunnerSaid(job="a", attempt=1, event=RunnerEvent(seq=seq, at=stamp(now), type=type, data=data)),
                now,
            )
        starts += 1
        run, commands = step(run, m.RunnerLost(job="a", attempt=1, launch=starts), now)
        assert any(isinstance(c, m.Keep) and "cut off" in c.data["message"] for c in commands)
    assert starts == retries + 1
    assert job is not None and job.steps[0].result is not None and job.steps[0].result.outcome == "failure"
    assert job.status == "queued", "the job goes on, so that its always() steps run"


def test_a_state_of_a_newer_version_is_refused() -> None:
    data = encode(RunState(id="run_1"))
    try:
        decode_run({**data, "version": 99})
    except ValueError as error:
        assert "version 99" in str(error)
    else:
        raise AssertionError("accepted")


def test_encoding_leaves_defaults_out() -> None:
    assert encode(JobState(key="a", node="a")) == {"key": "a", "node": "a"}
    assert replace(RunState(id="r"), nodes=()) == decode_run({"id": "r"})
