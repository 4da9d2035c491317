"""The house's shape: every area declares itself alike, every verb is on every surface, every name is documented."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from opsroom.app.areas import AREAS, CONNECTORS, load_areas, load_connectors
from opsroom.app.plane import migrations_of
from opsroom.contracts.area import Area
from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.contracts.sentences import KERNEL_EVENTS

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "opsroom"
DOCS = ROOT / "docs"
STARTER = SOURCE / "surfaces" / "cli" / "starter"
"""What `opsroom init` writes: a service of the user's, not a part of the house."""
DRAWERS = {"utils", "util", "common", "helpers", "helper", "misc", "shared"}
LOADED = load_areas()
OPERATIONS = [*KERNEL_OPERATIONS, *(one for area in LOADED for one in area.operations)]


def documented() -> str:
    return "\n".join(path.read_text() for path in sorted(DOCS.rglob("*.md")))


@pytest.mark.parametrize("area", LOADED, ids=AREAS)
def test_an_area_is_its_folder(area: Area) -> None:
    folder = SOURCE / "areas" / area.name
    assert folder.is_dir() and area.name in AREAS
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    assert area.promise and area.nouns, f"{area.name} says no promise or no nouns"
    assert re.search(r"\bnot\b", text, re.IGNORECASE), f"the docstring of {area.name} does not say what it is not"
    assert area.operations and area.events, f"{area.name} has no verb or records nothing"


def test_every_folder_is_an_area_or_a_connector_by_name() -> None:
    folders = {path.name for path in (SOURCE / "areas").iterdir() if (path / "__init__.py").exists()}
    assert folders == set(AREAS)
    tools = {path.name for path in (SOURCE / "connectors").iterdir() if (path / "__init__.py").exists()}
    assert tools == set(CONNECTORS) == {connector.name for connector in load_connectors()}


def test_names_are_given_once() -> None:
    for what, names in {
        "operation": [one.name for one in OPERATIONS],
        "event type": [one.name for one in KERNEL_EVENTS] + [one.name for area in LOADED for one in area.events],
        "kind": [kind.name for area in LOADED for kind in area.kinds],
        "action": [action.name for area in LOADED for action in area.actions],
        "migration": [migration.name for migration in migrations_of(LOADED)],
        "fact": [question.__name__ for area in LOADED for question in area.facts],
        "page": [page.path for area in LOADED for page in area.pages],
    }.items():
        twice = sorted({name for name in names if names.count(name) > 1})
        assert not twice, f"{what} declared twice: {twice}"


def test_every_table_declares_its_retention() -> None:
    for migration in migrations_of(LOADED):
        made = set(re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", " ".join(migration.statements)))
        assert made <= set(migration.retention), (
            f"{migration.name}: no retention for {sorted(made - set(migration.retention))}"
        )


def test_every_verb_says_what_it_does_and_local_ones_say_why() -> None:
    for one in OPERATIONS:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*", one.name), one.name
        assert one.summary, f"{one.name} has no docstring"


@pytest.mark.parametrize("name", sorted({one.name for one in OPERATIONS}))
def test_every_verb_stands_in_the_reference(name: str) -> None:
    assert f"`{name}`" in documented(), (
        f"docs name no `{name}`; run `python -m opsroom.surfaces.reference` to write the reference"
    )


def test_every_event_type_kind_and_action_stands_in_the_docs() -> None:
    text = documented()
    for area in LOADED:
        for event in area.events:
            assert f"`{event.name}`" in text, f"event {event.name} of {area.name}"
        for action in area.actions:
            assert f"`{action.name}`" in text, f"action {action.name} of {area.name}"
        for kind in area.kinds:
            assert re.search(rf"\b{kind.name}\b", text), f"kind {kind.name} of {area.name}"


def test_there_is_no_drawer() -> None:
    drawers = [path for path in SOURCE.rglob("*.py") if path.stem in DRAWERS]
    assert not drawers


def test_only_settings_reads_the_environment() -> None:
    readers = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text())
        and path != SOURCE / "kernel" / "settings.py"
        and STARTER not in path.parents
    ]
    assert not readers


def test_every_module_opens_with_a_sentence() -> None:
    silent = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


def test_the_kernel_names_no_area_and_no_tool() -> None:
    tools = re.compile(r"\b(github\.com|jira|artifactory|grafana|slack)\b", re.IGNORECASE)
    named = [
        str(path)
        for path in (SOURCE / "kernel").rglob("*.py")
        if re.search(r"opsroom\.(areas|connectors)", path.read_text())
    ]
    assert not named
    assert not [str(path) for path in (SOURCE / "kernel").glob("*.py") if tools.search(path.read_text())]
