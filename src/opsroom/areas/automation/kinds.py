"""The kinds Schedule, Task and Backup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from opsroom.kernel.errors import Problem
from opsroom.kernel.resources import Catalog, Duration, Kind, Reference, Resource, Spec, TimeZone

WORKFLOWS = ".opsroom/workflows/"


class ScheduleSpec(Spec):
    """What the workflow syntax has no place for: time zone, overlap, missed runs."""

    workflow: str
    repository: str = ""
    timezone: TimeZone = "UTC"
    overlap: Literal["skip", "queue", "allow"] = "skip"
    missed: Literal["run-once", "skip"] = "run-once"
    paused: bool = False


class TaskSpec(Spec):
    """A workflow that people start by a form made from its inputs."""

    workflow: str
    title: str = Field(min_length=1)
    allowed: tuple[str, ...] = ()
    service: str = ""
    confirm: str = ""


class BackupSpec(Spec):
    """What is backed up, where to, how many are kept."""

    what: Literal["opsroom", "folder"]
    folder: str = ""
    store: str = Field(min_length=1)
    keep: int = Field(default=7, ge=1)
    max_age: Duration = 2 * 86400.0


def _check_backup(resource: Resource, catalog: Catalog) -> Iterable[Problem]:
    spec: BackupSpec = resource.spec
    if spec.what == "folder" and not spec.folder.startswith("/"):
        yield Problem(
            resource.place_of("what"), "a folder is backed up and `folder` is no absolute path", "write folder: /path"
        )
    if spec.what == "opsroom" and spec.folder:
        yield Problem(resource.place_of("folder"), "`folder` goes with what: folder", "leave it out")


SCHEDULE = Kind(
    name="Schedule",
    api_version="opsroom.dev/v1",
    model=ScheduleSpec,
    area="automation",
    references=(Reference("workflow", file=WORKFLOWS, unless="repository"),),
)
TASK = Kind(
    name="Task",
    api_version="opsroom.dev/v1",
    model=TaskSpec,
    area="automation",
    references=(
        Reference("workflow", file=WORKFLOWS),
        Reference("allowed[]", "Group", "User"),
        Reference("service", "Component"),
    ),
)
BACKUP = Kind(name="Backup", api_version="opsroom.dev/v1", model=BackupSpec, area="automation", check=_check_backup)
KINDS = (SCHEDULE, TASK, BACKUP)
