"""The pages of automation: self-service tasks with their forms, schedules, backups; and what of them is wrong."""

from __future__ import annotations

from opsroom.areas.automation import store as rows
from opsroom.areas.automation.backups import state_of
from opsroom.areas.automation.operations.backups import list_backups
from opsroom.areas.automation.operations.schedules import list_schedules
from opsroom.areas.automation.operations.tasks import list_tasks, show_task, task_inputs
from opsroom.contracts.pages import PageDeclaration, PageRequest, Part, View


def show_tasks(asked: PageRequest) -> View:
    """Every task, as a row that opens its form."""
    return View(
        template="automation/tasks.html", values={"tasks": list_tasks(asked.call)}, title="Tasks", api="/api/v1/tasks"
    )


def show_one_task(asked: PageRequest) -> View:
    """One task's form, made from the typed inputs of its workflow."""
    name = asked.params["name"]
    task = show_task(asked.call, name)
    resource = asked.call.plane.catalogs.current().get("Task", name)
    inputs, _ = task_inputs(asked.call, resource)
    environments = [one.name for one in asked.call.plane.catalogs.current().all("Environment")]
    return View(
        template="automation/task.html", values={"task": task, "inputs": inputs, "environments": environments},
        title=task.title, code=resource.place, api=f"/api/v1/tasks/{name}",
    )  # fmt: skip


def show_schedules(asked: PageRequest) -> View:
    """What runs by the clock."""
    return View(
        template="automation/schedules.html", values={"schedules": list_schedules(asked.call)}, title="Schedules",
        api="/api/v1/schedules", live=("run.finished", "schedule."),
    )  # fmt: skip


def show_backups(asked: PageRequest) -> View:
    """Backups and whether a restore has proven them."""
    wanted = asked.call.plane.catalogs.current().all("Backup")
    return View(
        template="automation/backups.html", values={"backups": list_backups(asked.call, limit=100).items, "wanted": wanted},
        title="Backups", api="/api/v1/backups", live=("backup.",),
    )  # fmt: skip


def unproven(asked: PageRequest) -> View | None:
    """Backups without a restore within their time, for what is wrong now."""
    plane = asked.call.plane
    if not asked.call.sight.everything:  # backups hold what is every team's
        return None
    faults = []
    with plane.store.read() as tx:
        for resource in plane.catalogs.current().all("Backup"):
            found = rows.find(tx, name=resource.name, limit=1000)
            if reason := state_of(found, resource.spec.max_age, plane.clock.now()):
                proven = next((one.verified for one in found if one.verified), None)
                faults.append({"name": resource.name, "reason": reason, "proven": proven})
    return View(template="automation/part_unproven.html", values={"faults": faults}) if faults else None


def of_service(asked: PageRequest) -> View | None:
    """The tasks that belong to a service."""
    tasks = [task for task in list_tasks(asked.call) if task.service == asked.params["service"]]
    return View(template="automation/part_tasks.html", values={"tasks": tasks}) if tasks else None


PAGES = (
    PageDeclaration(path="/tasks", title="Tasks", render=show_tasks, nav="Tasks", key="t"),
    PageDeclaration(path="/tasks/{name}", title="Task", render=show_one_task),
    PageDeclaration(path="/schedules", title="Schedules", render=show_schedules, nav="Schedules"),
    PageDeclaration(path="/backups", title="Backups", render=show_backups, nav="Backups"),
)

PARTS = (
    Part(where="overview.wrong", title="Backups", order=70, render=unproven),
    Part(where="service", title="Tasks", order=70, render=of_service),
)
