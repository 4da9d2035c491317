"""Pages made from what is in force and what happened: services, pipelines, environments, configuration, incidents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from opsroom.areas.documentation.model import Page
from opsroom.areas.documentation.reading import plain
from opsroom.contracts.facts import BudgetLeft, OnCall, OwnerOf, WhatRuns
from opsroom.contracts.formats import person, shas
from opsroom.contracts.plane import Plane
from opsroom.contracts.repositories import OWN_FOLDER, head_of, read_workflow_of, repositories, workflows_of
from opsroom.contracts.sentences import Sentences
from opsroom.kernel.errors import UserError
from opsroom.kernel.ledger import Event
from opsroom.workflows.model import Workflow

RECENT = 20
INCIDENTS = 200
SUSPECTS = 5


def made_pages(plane: Plane) -> Iterator[Page]:
    """Every page that is made. One that cannot be made now says why in its place."""
    sentences = Sentences([one for area in plane.areas for one in area.events])

    def tell(event: Event) -> str:
        return f"[{plain(sentences.tell(event))}](/changes/{event.id})"

    for component in plane.catalogs.current().all("Component"):
        yield _service(plane, component, tell)
    yield from _pipelines(plane)
    for environment in plane.catalogs.current().all("Environment"):
        yield _environment(plane, environment, tell)
    yield from _record(
        plane, tell, path="configuration", title="Configuration record", types=("configuration.", "drift."),
        empty="Nothing has been applied yet; `opsroom plans create --target HOST` makes the first plan.",
    )  # fmt: skip
    for event in plane.ledger.find(types=["incident.opened"], limit=INCIDENTS):
        yield _incident(plane, event, tell)


def _service(plane: Plane, component: Any, tell: Any) -> Page:
    name, graph = component.name, plane.catalogs.current().graph()
    running, on_call, budgets = plane.ask(WhatRuns(service=name)), plane.ask(OnCall(name)), plane.ask(BudgetLeft(name))
    owner = plane.ask(OwnerOf(name)).value or "nobody"
    watch = ", ".join(on_call.value.people) if on_call.value else f"unknown ({on_call.unknown})"
    changes = plane.ledger.find(
        types=["deployment.finished", "incident.opened", "incident.resolved"], subjects=[f"service:{name}"], limit=10
    )
    runbooks = [one for one in plane.catalogs.current().all("Runbook") if one.spec.service == name]
    lines = [
        f"# {plain(component.title)}", "", plain(component.metadata.description), "",
        f"Owned by **{plain(owner)}**; on call: {plain(watch)}.", "",
        "## What runs where", "",
    ]  # fmt: skip
    if running.value:
        lines += ["| environment | version | artefact | since |", "| --- | --- | --- | --- |"]
        lines += [
            f"| [{one.environment}](<../environments/{one.environment}>) | [{plain(one.version)}](/deployments/{one.deployment}) "
            f"| [{_twelve(one.digest)}](/artifacts/{one.digest}) | {one.since:%Y-%m-%d %H:%M} UTC |"
            for one in running.value
        ]
    else:
        lines.append(f"Nothing yet{f' ({plain(running.unknown)})' if running.unknown else ''}.")
    lines += ["", "## Who needs whom", "", _dependencies(name, graph), "", "## Objectives", ""]
    lines += [
        f"- {plain(one.slo)}: {one.objective:.2%} of requests; {_budget(one.left)}" for one in budgets.value or ()
    ] or ["None evaluated."]
    lines += ["", "## Runbooks", ""]
    lines += [f"- [{plain(one.spec.title)}](<../{one.name}>)" for one in runbooks] or ["None."]
    lines += [
        "",
        "## Lately",
        "",
        *([f"- {event.time:%Y-%m-%d %H:%M} {tell(event)}" for event in changes] or ["Nothing."]),
    ]
    events = (*running.events, *(event.id for event in changes))
    return Page(
        path=f"services/{name}",
        title=component.title,
        kind="service",
        service=name,
        markdown="\n".join(lines),
        events=events,
    )


def _twelve(digest: str) -> str:
    """The first twelve digits, which stand for the whole everywhere."""
    return digest.rpartition(":")[2][:12]


def _budget(left: float) -> str:
    return f"{left:.0%} of the error budget left" if left >= 0 else f"the error budget is overspent by {-left:.0%}"


def _dependencies(name: str, graph: Any) -> str:
    edges = [f"  {_node(name)} --> {_node(other)}" for other in sorted(graph.dependencies(name))]
    edges += [f"  {_node(other)} --> {_node(name)}" for other in sorted(graph.dependents(name))]
    return "\n".join(["```mermaid", "graph LR", *edges, "```"]) if edges else "It needs none and none needs it."


def _node(name: str) -> str:
    """A node with an id of its own that is no word of Mermaid's, and the name in quotes."""
    bare = "".join(letter if letter.isascii() and letter.isalnum() else f"_{ord(letter):x}_" for letter in name)
    label = name.replace("#", "#35;").replace('"', "#quot;")
    return f'n_{bare}["{label}"]'


def _pipelines(plane: Plane) -> Iterator[Page]:
    for repository in repositories(plane):
        try:
            _, commit = head_of(plane, repository)
            files = workflows_of(plane, repository, commit)
        except UserError as error:
            yield Page(
                path=f"pipelines/{repository}", title=f"{repository}: pipelines", kind="pipeline",
                markdown=f"# {repository}: pipelines\n\nThey cannot be read now: {plain(error)}.",
            )  # fmt: skip
            continue
        for path, text in files:
            workflow, problems = read_workflow_of(plane, path, text)
            body = _pipeline(workflow) if workflow else "\n".join(f"- {plain(problem)}" for problem in problems)
            name = workflow.name if workflow else path
            file = path.removeprefix(OWN_FOLDER).removeprefix(".")
            yield Page(
                path=f"pipelines/{repository}/{file}", title=f"{repository}: {name}", kind="pipeline",
                markdown=f"# {plain(f'{repository}: {name}')}\n\n`{path}` at commit {commit[:12]}, [its runs](/runs?repository={repository})\n\n{body}",
            )  # fmt: skip


def _pipeline(workflow: Workflow) -> str:
    events = ", ".join(trigger.event for trigger in workflow.on)
    edges = [f"  {_node(job.id)}" for job in workflow.jobs.values() if not job.needs]
    edges += [f"  {_node(need)} --> {_node(job.id)}" for job in workflow.jobs.values() for need in job.needs]
    rows = [
        f"| {plain(job.id)} | {plain(', '.join(job.needs)) or '–'} | {len(job.steps)} | {plain(', '.join(step.uses for step in job.steps if step.uses)) or '–'} |"
        for job in workflow.jobs.values()
    ]
    return "\n".join(
        [f"Started by: {events}.", "", "```mermaid", "graph LR", *edges, "```", "",
         "| job | needs | steps | uses |", "| --- | --- | --- | --- |", *rows]
    )  # fmt: skip


def _environment(plane: Plane, environment: Any, tell: Any) -> Page:
    history = plane.ledger.find(
        types=["deployment.finished", "deployment.failed"], subjects=[f"environment:{environment.name}"], limit=50
    )
    rows = [f"| {event.time:%Y-%m-%d %H:%M} | {tell(event)} | {plain(person(event.actor))} |" for event in history]
    body = ["| when (UTC) | what | by |", "| --- | --- | --- |", *rows] if rows else ["Nothing was deployed here yet."]
    return Page(
        path=f"environments/{environment.name}", title=f"Environment {environment.name}", kind="environment",
        markdown="\n".join([f"# Environment {environment.name}", "", f"Tier {environment.spec.tier}.", "", "## History", "", *body]),
        events=tuple(event.id for event in history[:RECENT]),
    )  # fmt: skip


def _record(plane: Plane, tell: Any, *, path: str, title: str, types: tuple[str, ...], empty: str) -> Iterator[Page]:
    events = plane.ledger.find(types=types, limit=100)
    rows = [f"| {event.time:%Y-%m-%d %H:%M} | {tell(event)} | {plain(person(event.actor))} |" for event in events]
    body = ["| when (UTC) | what | by |", "| --- | --- | --- |", *rows] if rows else [empty]
    yield Page(
        path=path, title=title, kind="record", markdown="\n".join([f"# {title}", "", *body]),
        events=tuple(event.id for event in events[:RECENT]),
    )  # fmt: skip


def _incident(plane: Plane, opened: Event, tell: Any) -> Page:
    id = opened.subject("incident")
    events = plane.ledger.find(subjects=[f"incident:{id}"], limit=100, newest_first=False)
    place = " in ".join(part for part in (opened.subject("service"), opened.subject("environment")) if part)
    suspects = [_suspect(number, one) for number, one in enumerate(opened.data.get("suspects") or [], 1)]
    lines = [
        f"# {plain(opened.data.get('title') or id)}", "",
        (f"{plain(opened.data.get('severity', ''))}{f', {plain(place)}' if place else ''}; "
        f"began on {opened.time:%Y-%m-%d}. [The incident](/incidents/{id}) has its reasons, its runbook and its postmortem. Times are UTC."), "",
        "## Timeline", "", *(f"- {event.time:%H:%M:%S} {tell(event)}" for event in events), "",
        "## Suspects", "", *(suspects[:SUSPECTS] or ["No change was recorded in the half hour before."]),
    ]  # fmt: skip
    if len(suspects) > SUSPECTS:
        lines += ["", f"{len(suspects) - SUSPECTS} more were less likely."]
    return Page(
        path=f"incidents/{id}", title=str(opened.data.get("title") or id), kind="incident", service=opened.subject("service"),
        markdown="\n".join(lines), events=tuple(event.id for event in events),
    )  # fmt: skip


def _suspect(number: int, suspect: Mapping[str, Any]) -> str:
    score = suspect.get("score")
    told = plain(shas(str(suspect["change"])))
    named = f"[{told}](/changes/{suspect['event']})" if suspect.get("event") else told
    return f"{number}. {named}" + (f", score {score:.2f}" if isinstance(score, int | float) else "")
