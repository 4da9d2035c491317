"""Repositories as the catalog names them: the ops repo and those of the Components, and the workflows each holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from opsroom.kernel.errors import Conflict, NotFound, Problem
from opsroom.kernel.repos import repository_name, resolve_url
from opsroom.kernel.resources import ENGINE, NETWORK, REPOSITORY

if TYPE_CHECKING:
    from opsroom.contracts.area import Area
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.resources import Resource
    from opsroom.kernel.settings import Settings
    from opsroom.workflows.model import Workflow
    from opsroom.workflows.starting import Policy, Repository

OWN_FOLDER = ".opsroom/workflows/"
GITHUB_FOLDER = ".github/workflows/"
WORKFLOW_LIMIT = 1_000_000
"""A larger workflow file is a mistake, and is said to be one."""


def ops_name(settings: Settings) -> str:
    """The name of the ops repo: the last part of `settings.repo` without `.git`; "" where none is set."""
    return repository_name(settings.repo) if settings.repo else ""


def ops_repository(plane: Plane) -> str:
    """The name of the ops repo of this plane."""
    return ops_name(plane.settings)


def repositories(plane: Plane) -> dict[str, str]:
    """Every repository by name with its URL: the ops repo first, then those of the Components. Two URLs with one name: the first stands."""
    base = plane.settings.repo
    found = {ops_name(plane.settings): base} if base else {}
    for component in plane.catalogs.current().all("Component"):
        if given := component.annotation(REPOSITORY):
            url = resolve_url(given, base)
            found.setdefault(repository_name(url), url)
    return found


def watched(plane: Plane, name: str) -> str:
    """Makes sure that the mirror of a repository can be read, and returns its name. NotFound names those there are."""
    if name not in plane.repos.names():
        known = repositories(plane)
        if name not in known:
            raise NotFound(f"repository {name!r} is not in the catalog; there are: {', '.join(known) or 'none'}")
        plane.repos.watch(name, known[name])
    return name


def services_of(plane: Plane, repository: str) -> tuple[str, ...]:
    """The Components whose code is in this repository, by name."""
    return tuple(component.name for component in _components(plane, repository))


def repository_of(plane: Plane, name: str) -> Repository:
    """What the engine needs to know of a repository: its mirror, network, variables, services and policies. NotFound: no such."""
    from opsroom.workflows.starting import Repository

    components = _components(plane, watched(plane, name))
    hosts = [host.strip() for component in components for host in component.annotation(NETWORK).split(",")]
    services = [component.name for component in components]
    return Repository(
        name=name,
        git=str(plane.repos.path(name)),
        network=tuple(dict.fromkeys(filter(None, hosts))),
        variables={key: _text(value) for key, value in plane.catalogs.current().variables.items()},
        service=services[0] if len(services) == 1 else "",
        services=_services_by_workflow(plane, name, services),
        policies=_policies(plane, name),
    )


def workflows_of(plane: Plane, name: str, commit: str) -> list[tuple[str, str]]:
    """Path and text of every workflow file at a commit: `.opsroom/workflows/`, and `.github/workflows/` where a Component of the
    repository says `opsroom.dev/engine: opsroom`. A file over 1 MB is left out. NotFound: no such repository or commit."""
    folders = [OWN_FOLDER]
    if any(component.annotation(ENGINE) == "opsroom" for component in _components(plane, name)):
        folders.append(GITHUB_FOLDER)
    files = plane.repos.files(watched(plane, name), commit)
    paths = [path for path in sorted(files) if any(_is_workflow(path, folder) for folder in folders)]
    texts = ((path, files[path]) for path in paths)
    return [(path, data.decode("utf-8", "replace")) for path, data in texts if len(data) <= WORKFLOW_LIMIT]


def read_workflow_of(plane: Plane, path: str, text: str) -> tuple[Workflow | None, list[Problem]]:
    """A workflow file as this plane reads it, with the actions and permission scopes that its areas add; or its problems."""
    from opsroom.workflows.syntax import read_workflow

    actions, scopes = _additions(plane.areas)
    return read_workflow(text, path, extra_scopes=scopes, plane_actions=actions, all_told=True)


def head_of(plane: Plane, name: str) -> tuple[str, str]:
    """The full ref of the default branch and the commit it is at. Conflict: nothing was pushed there yet."""
    branch = plane.repos.default_branch(watched(plane, name))
    if not branch:
        raise Conflict(f"repository {name} has no commit on its default branch yet; push one")
    return f"refs/heads/{branch}", plane.repos.resolve(name, f"refs/heads/{branch}")


def _components(plane: Plane, repository: str) -> list[Resource]:
    base = plane.settings.repo
    return [
        component
        for component in plane.catalogs.current().all("Component")
        if (given := component.annotation(REPOSITORY)) and repository_name(resolve_url(given, base)) == repository
    ]


def _is_workflow(path: str, folder: str) -> bool:
    inside = path.removeprefix(folder)
    return inside != path and "/" not in inside and inside.endswith((".yml", ".yaml"))


def _services_by_workflow(plane: Plane, name: str, services: Iterable[str]) -> Mapping[str, str]:
    """A workflow named after a service is that service's, in a repository of several; so is one that a Task shows on its page."""
    found = {
        f"{folder}{one}{end}": one
        for one in services
        for folder in (OWN_FOLDER, GITHUB_FOLDER)
        for end in (".yml", ".yaml")
    }
    if name == ops_repository(plane):
        for task in plane.catalogs.current().all("Task"):
            if getattr(task.spec, "service", None):
                found[task.spec.workflow] = task.spec.service
    return found


def _policies(plane: Plane, name: str) -> Mapping[str, Policy]:
    from opsroom.workflows.starting import Policy

    ops = ops_repository(plane)
    return {
        schedule.spec.workflow: Policy(
            time_zone=schedule.spec.timezone,
            overlap=schedule.spec.overlap,
            missed=schedule.spec.missed.replace("-", "_"),
        )
        for schedule in plane.catalogs.current().all("Schedule")
        if (schedule.spec.repository or ops) == name
    }


def _text(value: Any) -> str:
    from opsroom.workflows.expressions import to_text

    return to_text(value)


def _additions(areas: Iterable[Area]) -> tuple[frozenset[str], frozenset[str]]:
    actions = [action for area in areas for action in area.actions]
    names = frozenset(action.name.removeprefix("opsroom/") for action in actions)
    return names, frozenset(action.permission[0] for action in actions if action.permission)
