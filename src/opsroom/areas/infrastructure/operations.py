"""Hosts: list. Runners: list. Tools: list. Expiries: list."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from opsroom.areas.infrastructure import store as rows
from opsroom.areas.infrastructure.endings import endings
from opsroom.areas.infrastructure.machine import host_name
from opsroom.areas.infrastructure.model import Ending, ExpiryState, ToolState
from opsroom.areas.infrastructure.observing import machine_of
from opsroom.areas.infrastructure.runners import jobs_now, sandbox_state
from opsroom.areas.infrastructure.tools import tools_of
from opsroom.contracts.operations import Model, operation
from opsroom.contracts.scopes import WHOLE

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call


class DiskView(Model):
    """A file system and what is free on it, in bytes."""

    folder: str
    total_bytes: int
    free_bytes: int


class HostView(Model):
    """A machine now. `managed_as` are the Hosts of the ops repo that stand for it; `event` last told of a change of it."""

    columns: ClassVar[tuple[str, ...]] = (
        "name", "cpus", "load", "memory_bytes", "memory_free_bytes", "system", "architecture", "seen",
    )  # fmt: skip
    name: str
    cpus: int
    load: float
    memory_bytes: int | None
    memory_free_bytes: int | None
    disks: list[DiskView]
    kernel: str
    system: str
    architecture: str
    python: str
    started: datetime | None
    managed_as: list[str]
    seen: datetime | None
    event: str


class RunnerJob(Model):
    """A job on a runner: `state` is running, in_action (the plane works for it) or queued (it waits, and for what)."""

    run: str
    job: str
    workflow: str
    repository: str
    state: str
    waiting: str
    started: datetime | None


class RunnerView(Model):
    """Where jobs run. `sandboxed` false: only workflows that an admin allowed run, and `sandbox` says why."""

    columns: ClassVar[tuple[str, ...]] = ("name", "kind", "slots", "busy", "sandboxed", "jobs", "registered")
    name: str
    kind: str
    slots: int
    busy: int
    sandboxed: bool
    sandbox: str
    jobs: list[RunnerJob]
    registered: datetime | None
    event: str


class ToolView(Model):
    """A tool that Opsroom works with, its version, and what is wrong with it where something is."""

    columns: ClassVar[tuple[str, ...]] = ("kind", "name", "version", "state", "detail")
    kind: str
    name: str
    version: str
    state: ToolState
    detail: str
    place: str


class ExpiryView(Model):
    """What ends when and what breaks that day. `days_left` None: it has no end, or it is unknown for `reason`."""

    columns: ClassVar[tuple[str, ...]] = ("kind", "name", "owner", "state", "expires", "days_left", "breaks")
    kind: str
    id: str
    name: str
    owner: str
    state: ExpiryState
    expires: datetime | None
    days_left: float | None
    since: datetime | None
    breaks: list[str]
    reason: str


@operation("hosts.list", scope=WHOLE)
def list_hosts(call: Call) -> list[HostView]:
    """The machines Opsroom runs on, as they are now."""
    plane = call.plane
    machine = machine_of(plane)
    with plane.store.read() as tx:
        seen = rows.inventory_of(tx, machine.name)
    return [
        HostView(
            name=machine.name, cpus=machine.cpus, load=machine.load, memory_bytes=machine.memory_bytes,
            memory_free_bytes=machine.memory_free_bytes, kernel=machine.kernel, system=machine.system,
            disks=[DiskView(folder=one.folder, total_bytes=one.total_bytes, free_bytes=one.free_bytes) for one in machine.disks],
            architecture=machine.architecture, python=machine.python, started=machine.started,
            managed_as=[one.name for one in plane.catalogs.current().all("Host")],
            seen=seen.seen if seen else None, event=seen.event if seen else "",
        )
    ]  # fmt: skip


@operation("runners.list", scope=WHOLE)
def list_runners(call: Call) -> list[RunnerView]:
    """Where jobs run: slots, whether jobs are sandboxed, and what runs or waits there now."""
    plane, name, sandbox = call.plane, host_name(), sandbox_state()
    with plane.store.read() as tx:
        made = rows.runners(tx).get(name)
    jobs = [
        RunnerJob(
            run=run.id, job=job.key, workflow=run.workflow, repository=run.repository, state=job.status, waiting=job.waiting,
            started=job.started,
        )
        for run, job in jobs_now(plane)
    ]  # fmt: skip
    return [
        RunnerView(
            name=name, kind="local", slots=plane.settings.job_slots, busy=sum(job.state == "running" for job in jobs),
            sandboxed=sandbox.available, sandbox=sandbox.reason, jobs=jobs, registered=made.registered if made else None,
            event=made.event if made else "",
        )
    ]  # fmt: skip


@operation("tools.list", scope=WHOLE)
def list_tools(call: Call, *, kind: str = "") -> list[ToolView]:
    """The tools Opsroom works with: programs, telemetry, database, repositories with their last error, channels."""
    return [
        ToolView(kind=one.kind, name=one.name, version=one.version, state=one.state, detail=one.detail, place=one.place)
        for one in tools_of(call.plane)
        if kind in ("", one.kind)
    ]


@operation("expiries.list", scope=WHOLE)
def list_expiries(call: Call, *, kind: str = "", within_days: int | None = None) -> list[ExpiryView]:
    """What ends when, the next first, and what breaks that day: tokens, waivers, certificates; secrets and keys by age."""
    now = call.plane.clock.now()
    found = [expiry_view(one, now) for one in endings(call.plane) if kind in ("", one.kind)]
    if within_days is None:
        return found
    return [one for one in found if one.days_left is not None and one.days_left <= within_days]


def expiry_view(one: Ending, now: datetime) -> ExpiryView:
    left = None if one.expires is None else round((one.expires - now).total_seconds() / 86_400, 2)
    return ExpiryView(
        kind=one.kind, id=one.id, name=one.name, owner=one.owner, state=one.state(now), expires=one.expires, days_left=left,
        since=one.since, breaks=list(one.breaks), reason=one.unknown if one.expires is None else "",
    )  # fmt: skip
