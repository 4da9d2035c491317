"""Runs: the list, one run with its job graph and log, and the lines of a log as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsroom.areas.delivery.operations.repositories import list_repositories
from opsroom.areas.delivery.operations.runs import (
    JobView,
    LineView,
    RunDetail,
    list_runs,
    show_log,
    show_run,
    show_waiting,
)
from opsroom.areas.delivery.pages.drawing import Node, markdown, state_of
from opsroom.contracts.pages import PageRequest, View
from opsroom.kernel.errors import NotFound, Place

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call

SHOWN_LINES = 3000
CONTEXT_LINES = 500
STATES = ("running", "waiting", "finished")
CONCLUSIONS = ("success", "failure", "cancelled", "skipped")
EVENTS = ("push", "workflow_dispatch", "repository_dispatch", "schedule", "pull_request")


def listing(asked: PageRequest) -> View:
    query = asked.query
    page = list_runs(
        asked.call, service=asked.scope.service, repository=query.get("repository", ""), workflow=query.get("workflow", ""),
        conclusion=query.get("conclusion", ""), status=query.get("status", ""), event=query.get("event", ""),
        commit=query.get("commit", ""), since=asked.scope.since if "since" in query else None,
        after=query.get("after", ""),
    )  # fmt: skip
    filtered = any(
        query.get(name) for name in ("repository", "workflow", "conclusion", "status", "event", "commit", "since")
    )
    return View(
        template="delivery/runs.html",
        values={
            "runs": page.items, "next": page.next, "filtered": filtered or bool(asked.scope.service), "state_of": state_of,
            "repositories": [one.name for one in list_repositories(asked.call)], "states": STATES, "conclusions": CONCLUSIONS, "events": EVENTS,
        },
        title="Runs",
        api="/api/v1/runs",
        live=() if query.get("after") else ("run.",),
    )  # fmt: skip


def show(asked: PageRequest) -> View:
    call, id = asked.call, asked.params["id"]
    run = show_run(call, id)
    job = _chosen(run, asked.query.get("job", ""))
    lines = _lines(call, id, job, after=0) if job else _Lines()
    return View(
        template="delivery/run.html",
        values={
            "run": run, "job": job, "log": lines, "state": state_of(run.status, run.conclusion), "state_of": state_of,
            "nodes": [_node(run, one) for one in run.jobs], "waits": show_waiting(call, id) if not run.conclusion else [],
            "summaries": [markdown(text) for text in run.summaries],
            "deployments": _deployments(call, id), "artifacts": _artifacts(call, id),
            "events": call.sight.only(call.plane.ledger.find(subjects=[f"run:{id}"], limit=30)),
        },
        title=f"{run.title} #{run.number}",
        code=Place(run.workflow),
        api=f"/api/v1/runs/{id}",
        live=() if run.conclusion else ("run.", "job.", "deployment.", "artifact.", "tests."),
    )  # fmt: skip


def log(asked: PageRequest) -> View:
    """The lines after a number: as a fragment for the viewer that follows, else as a page of its own."""
    call, id = asked.call, asked.params["id"]
    run = show_run(call, id)
    job = _chosen(run, asked.query.get("job", ""))
    if job is None:
        raise NotFound(f"run {id} has no job yet; it waits for {run.waiting or 'its workflow to be read'}")
    after = asked.query.get("after", "0")
    lines = _lines(call, id, job, after=int(after) if after.isdecimal() else 0, all_lines="all" in asked.query)
    return View(
        template="delivery/log.html", values={"run": run, "job": job, "log": lines}, title=f"Log of {job.name}",
        api=f"/api/v1/runs/{id}/log?job={job.id}",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """Lines as `log_rows` takes them. Only those numbered over `after` are new; `first` is the number of the first."""

    lines: tuple[LineView, ...] = ()
    first: int = 1
    after: int = 0
    done: bool = True
    cut: bool = False


def _lines(call: Call, id: str, job: JobView, *, after: int, all_lines: bool = False) -> _Lines:
    found: list[LineView] = []
    offset, ended = 0, False
    while True:
        page = show_log(call, id, job=job.id, after=offset)
        found += page.lines
        ended = page.ended
        if page.next == offset or not page.lines:
            break
        offset = page.next
    ended = ended or job.status == "finished"
    start = max(0, after - CONTEXT_LINES) if after else 0 if all_lines else max(0, len(found) - SHOWN_LINES)
    return _Lines(lines=tuple(found[start:]), first=start + 1, after=after, done=ended, cut=start > 0 and not after)


def _chosen(run: RunDetail, wanted: str) -> JobView | None:
    """The job whose log is shown: the one asked for, else the first that failed, runs, or ended last."""
    if wanted:
        found = next((job for job in run.jobs if wanted in (job.id, job.node, job.name)), None)
        if found is None:
            raise NotFound(f"run {run.id} has no job {wanted!r}; its jobs are {', '.join(job.id for job in run.jobs)}")
        return found
    for held in (lambda job: job.conclusion == "failure", lambda job: job.status == "running"):
        if chosen := next(filter(held, run.jobs), None):
            return chosen
    ended = [job for job in run.jobs if job.finished and job.conclusion != "skipped"]
    return max(ended, key=lambda job: str(job.finished), default=run.jobs[0] if run.jobs else None)


def _node(run: RunDetail, job: JobView) -> Node:
    ids = {one.node: one.id for one in run.jobs}
    several = [one.id for one in run.jobs for need in job.needs if one.node == need]
    return Node(
        id=job.id, name=job.name, needs=tuple(several) or tuple(ids[need] for need in job.needs if need in ids),
        state=state_of(job.status, job.conclusion), seconds=job.seconds, href=f"/runs/{run.id}?job={job.id}",
        note=job.waiting,
    )  # fmt: skip


def _deployments(call: Call, run: str) -> list[Any]:
    from opsroom.areas.delivery.operations.deployments import list_deployments

    return list_deployments(call, run=run).items


def _artifacts(call: Call, run: str) -> list[Any]:
    from opsroom.areas.delivery.operations.artifacts import list_artifacts

    return list_artifacts(call, run=run).items
