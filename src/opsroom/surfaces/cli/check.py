"""`opsroom check`: everything wrong with an ops repo as it lies in a folder, before it is pushed. No server is asked."""

from __future__ import annotations

import importlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsroom.kernel.counting import counted
from opsroom.kernel.errors import NotFound, Problem

if TYPE_CHECKING:
    from opsroom.contracts.area import Area
    from opsroom.workflows.working_copy import WorkingCopy


@click.command("check")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the problems as JSON lines.")
@click.pass_context
def check(ctx: click.Context, folder: Path | None, as_json: bool) -> None:
    """Check the resources, rules and workflows of an ops repo, as a server does that hears of its push: of the one in FOLDER, else of the repository here.

    Files that Git ignores are left out. Ends with 1 where something is wrong."""
    from opsroom.contracts.sentences import event_types
    from opsroom.kernel.resources import load_catalog
    from opsroom.workflows.working_copy import WorkingCopy

    if folder is not None and not folder.is_dir():
        raise NotFound(f"{folder}: there is no such folder; name the one that holds the ops repo")
    copy, areas = WorkingCopy.of(folder or Path()), _areas()
    if folder is not None:
        copy = replace(copy, root=folder.resolve())  # It may be a part of a larger repository, as the example's is.
    files = {path: (copy.root / path).read_bytes() for path in copy.files()}
    catalog, problems = load_catalog(
        files, copy.commit, [kind for area in areas for kind in area.kinds], event_types=event_types(areas)
    )
    workflows, wrong = _workflows(copy, areas)
    problems = sorted([*problems, *wrong])
    for problem in problems:
        click.echo(json.dumps(asdict(problem)) if as_json else str(problem))
    if problems:
        click.echo(f"{counted(len(problems), 'problem')} in {copy.root}", err=True)
        ctx.exit(1)
    resources = sum(len(catalog.all(kind)) for kind in catalog.kinds)
    click.echo(f"{counted(resources, 'resource')}, {counted(workflows, 'workflow')}: nothing is wrong", err=as_json)


def _workflows(copy: WorkingCopy, areas: list[Area]) -> tuple[int, list[Problem]]:
    """How many workflow files there are, and what is wrong with them."""
    from opsroom.contracts.area import permission_scopes
    from opsroom.workflows.syntax import read_workflow

    actions = frozenset(action.name.removeprefix("opsroom/") for area in areas for action in area.actions)
    try:
        paths = copy.workflow_files()
    except NotFound:
        return 0, []
    problems: list[Problem] = []
    for path in paths:
        _, wrong = read_workflow(
            path.read_bytes(),
            copy.shown(path),
            extra_scopes=permission_scopes(areas),
            plane_actions=actions,
            all_told=True,
        )
        problems += wrong
    return len(paths), problems


def _areas() -> list[Area]:
    from opsroom.surfaces.cli.contents import SECTIONS

    modules = dict.fromkeys(noun.module for section in SECTIONS for noun in section.nouns)
    found = (getattr(importlib.import_module(module), "AREA", None) for module in modules)
    return [area for area in found if area is not None]
