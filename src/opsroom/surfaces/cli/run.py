"""`opsroom run`: a repository's workflows run here, without a server, by the runner that the server uses."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opsroom.kernel.errors import Invalid, NotFound, Problems

if TYPE_CHECKING:
    from opsroom.workflows.local import LocalRun, Options
    from opsroom.workflows.model import Workflow
    from opsroom.workflows.planning import TriggerEvent
    from opsroom.workflows.working_copy import WorkingCopy

USUAL_EVENTS = ("push", "workflow_dispatch")
"""What is taken when no event is named, in this order; else the first event of the workflow."""
_STATUS = {"success": 0, "skipped": 0, "failure": 1, "cancelled": 130}


@click.command("run")
@click.option("-W", "--workflow", metavar="FILE", default="", help="Workflow file, or a folder of them.")
@click.option(
    "--event", "-e", metavar="EVENT", default="", help="Event to run for; default: push, else what the workflow names."
)
@click.option("--event-payload", metavar="FILE", default="", help="JSON file of the event's payload.")
@click.option(
    "--job", "-j", "jobs", metavar="JOB", multiple=True, help="Only this job and what it needs; may be repeated."
)
@click.option(
    "--input", "inputs", metavar="NAME=VALUE", multiple=True, help="Input of a workflow_dispatch; may be repeated."
)
@click.option(
    "--var", "variables", metavar="NAME=VALUE", multiple=True, help="Variable for the vars context; may be repeated."
)
@click.option("--secret-file", metavar="FILE", default="", help="Secrets: NAME=VALUE lines, or a JSON object.")
@click.option("--network", metavar="HOST", multiple=True, help="Host the sandboxed jobs may reach; may be repeated.")
@click.option(
    "--parallel",
    metavar="N",
    type=click.IntRange(1),
    default=None,
    help="Jobs at once; default: one for each processor.",
)
@click.option("--unsandboxed", is_flag=True, help="Run jobs as ordinary processes of this machine.")
@click.option("--skip-plane-actions", is_flag=True, help="Leave out steps that use opsroom/NAME, which need a server.")
@click.option("--dry-run", is_flag=True, help="Say what would run.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def run(ctx: click.Context, /, **given: Any) -> None:
    """Run this repository's workflows here, without a server.

    Jobs run in a sandbox without network unless --unsandboxed says otherwise. Exit status: 0 success, 1 failure, 130 cancelled.
    """
    from opsroom.workflows.working_copy import WorkingCopy

    copy = WorkingCopy.of(Path.cwd())
    workflows = _workflows(copy, given["workflow"], given["event"], given["jobs"])
    options = _options(copy, given)
    reports = []
    for workflow in workflows:
        event = _event(copy, workflow, given)
        reports.append(
            _dry(workflow, event, options, given) if given["dry_run"] else _run(workflow, event, options, given)
        )
    worst = max((report["conclusion"] for report in reports), key=lambda one: _STATUS.get(one, 0))
    if given["as_json"]:
        whole = (
            reports[0]
            if len(reports) == 1
            else {"conclusion": worst, "jobs": [job for one in reports for job in one["jobs"]]}
        )
        click.echo(json.dumps(whole, ensure_ascii=False, indent=2))
    ctx.exit(_STATUS.get(worst, 0))


def _run(workflow: Workflow, event: TriggerEvent, options: Options, given: dict[str, Any]) -> dict[str, Any]:
    from opsroom.surfaces.cli.run_output import Printer
    from opsroom.workflows.local import LocalRun
    from opsroom.workflows.runner.step_files import SpareFiles

    SpareFiles.ready()
    printer = Printer(sys.stderr if given["as_json"] else sys.stdout, quiet=given["as_json"])
    going = LocalRun(workflow, event, options, printer)
    stopping = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: going.cancel()) for number in stopping]
    try:
        conclusion = going.run()
    finally:
        for number, handler in zip(stopping, before, strict=True):
            signal.signal(number, handler)
    printer.end(workflow, conclusion, going.jobs)
    return _report(workflow, conclusion, going)


def _report(workflow: Workflow, conclusion: str, going: LocalRun) -> dict[str, Any]:
    jobs = [
        {
            "id": job.id,
            "name": job.name,
            "workflow": workflow.path,
            "conclusion": job.conclusion,
            "seconds": job.seconds,
            "cpu_seconds": job.cpu_seconds,
            "steps": [_step(step) for step in job.steps],
            "outputs": dict(job.outputs),
            **({"error": job.error} if job.error else {}),
        }
        for job in going.jobs
    ]
    return {"conclusion": conclusion, "workflow": workflow.path, "jobs": jobs}


def _step(step: dict[str, Any]) -> dict[str, Any]:
    kept = {
        key: step[key] for key in ("id", "name", "outcome", "conclusion", "exit_code", "outputs", "started", "finished")
    }
    return {**kept, **({"error": step["error"]} if step["error"] else {})}


def _dry(workflow: Workflow, event: TriggerEvent, options: Options, given: dict[str, Any]) -> dict[str, Any]:
    """The jobs in the order of their turns, each with its steps; nothing is run, and nothing that depends on a run is evaluated."""
    from opsroom.workflows.planning import plan_run, step_name

    plan = plan_run(workflow, event, run_id="dry-run", only=options.only, variables=options.variables)
    jobs: list[dict[str, Any]] = []
    for turn, wave in enumerate(plan.waves, start=1):
        for id in wave:
            steps = [step_name(step, plan.contexts) for step in plan.job(id).steps]
            jobs.append(
                {
                    "id": id,
                    "name": plan.job(id).name or id,
                    "turn": turn,
                    "needs": list(plan.job(id).needs),
                    "steps": steps,
                }
            )
    if not given["as_json"]:
        click.echo(f"{workflow.path}: {workflow.name} on {event.name}")
        for job in jobs:
            click.echo(
                f"  {job['turn']}. {job['id']}" + (f" (needs {', '.join(job['needs'])})" if job["needs"] else "")
            )
            for name in job["steps"]:
                click.echo(f"       {name}")
    return {"conclusion": "skipped", "workflow": workflow.path, "jobs": jobs}


# -- what is to run


def _workflows(copy: WorkingCopy, given: str, event: str, jobs: tuple[str, ...]) -> list[Workflow]:
    """The workflows to run: the one named, or all that the event starts. Problems: with each place."""
    from opsroom.workflows.syntax import read_workflow

    found, problems = [], []
    for path in copy.workflow_files(given):
        workflow, wrong = read_workflow(path.read_bytes(), copy.shown(path), all_told=True)
        problems += wrong
        if workflow is not None:
            found.append(workflow)
    if problems:
        raise Problems(problems)
    wanted = event or ("" if len(found) == 1 else "push")
    fitting = [one for one in found if not wanted or any(trigger.event == wanted for trigger in one.on)]
    fitting = [one for one in fitting if not jobs or set(jobs) & one.jobs.keys()] or fitting
    if not fitting:
        events = sorted({trigger.event for one in found for trigger in one.on})
        raise NotFound(f"no workflow here runs on {wanted}; they run on {', '.join(events)}: choose with --event")
    return fitting


def _event(copy: WorkingCopy, workflow: Workflow, given: dict[str, Any]) -> TriggerEvent:
    from opsroom.workflows.planning import TriggerEvent, dispatch_inputs
    from opsroom.workflows.working_copy import read_payload

    events = [trigger.event for trigger in workflow.on]
    name = given["event"] or next((one for one in USUAL_EVENTS if one in events), events[0])
    inputs = dict(_pair(one, "--input") for one in given["inputs"])
    if inputs and name != "workflow_dispatch":
        raise Invalid(f"--input is for workflow_dispatch, and this run is for {name}; add --event workflow_dispatch")
    payload = read_payload(given["event_payload"])
    return TriggerEvent(
        name=name,
        ref=copy.branch,
        commit=copy.commit,
        type=str(payload.get("action", "")),
        **_of_the_event(name, payload, workflow),
        inputs=dispatch_inputs(workflow, inputs) if name == "workflow_dispatch" else {},
        actor="local",
        repository=copy.repository,
        default_branch=copy.branch.removeprefix("refs/heads/") or "main",
    )


def _of_the_event(name: str, payload: Mapping[str, Any], workflow: Workflow) -> dict[str, Any]:
    """What the kind of event says beside: branches of a pull request, the client's payload of a dispatch, the cron of a schedule."""
    if name in ("pull_request", "pull_request_target"):
        request = payload.get("pull_request")
        sides = {side: request.get(side) for side in ("base", "head")} if isinstance(request, Mapping) else {}
        refs = {f"{side}_ref": str(one.get("ref", "")) for side, one in sides.items() if isinstance(one, Mapping)}
        return {"payload": payload, **refs}
    if name == "repository_dispatch" and isinstance(payload.get("client_payload"), Mapping):
        return {"payload": payload["client_payload"]}
    if name == "schedule" and "schedule" not in payload:
        crons = [cron for trigger in workflow.on for cron in trigger.cron]
        return {"payload": {"schedule": crons[0], **payload} if crons else payload}
    return {"payload": payload}


def _options(copy: WorkingCopy, given: dict[str, Any]) -> Options:
    from opsroom.workflows.local import Options
    from opsroom.workflows.protocol import Source

    return Options(
        source=Source(git=copy.git if copy.commit else "", commit=copy.commit, folder=str(copy.root)),
        secrets=_secrets(given["secret_file"]),
        variables=dict(_pair(one, "--var") for one in given["variables"]),
        only=tuple(given["jobs"]),
        sandbox=not given["unsandboxed"],
        network=tuple(given["network"]),
        plane_steps="skip" if given["skip_plane_actions"] else "refuse",
        parallel=given["parallel"] or 0,
    )


def _secrets(path: str) -> dict[str, str]:
    if not path:
        return {}
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}; name a file of NAME=VALUE lines, or of a JSON object") from error
    except UnicodeDecodeError:
        raise Invalid(f"{path}: not UTF-8 text; name a file of NAME=VALUE lines, or of a JSON object") from None
    if text.lstrip().startswith("{"):
        try:
            return {str(name): str(value) for name, value in json.loads(text).items()}
        except ValueError as error:
            raise Invalid(f'{path}: not JSON ({error.__class__.__name__}); write {{"NAME": "VALUE"}}') from None
    lines = enumerate((line.strip() for line in text.splitlines()), 1)
    return dict(_pair(line, f"{path}:{number}") for number, line in lines if line and not line.startswith("#"))


def _pair(text: str, where: str) -> tuple[str, str]:
    """`NAME=VALUE`; quotes around the value are taken off. Nothing of it is shown in an error: it may be a secret."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise Invalid(f"{where}: this is no NAME=VALUE; write the name, an equals sign and the value")
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    return name.strip(), value
