"""The example's ops repo and the starter of `opsroom init`: they load, and docs/reference/ops-repo.md tells of every field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from opsroom.app.areas import load_areas
from opsroom.kernel.resources import KINDS, Kind, load_catalog
from opsroom.kernel.resources.model import Metadata
from opsroom.surfaces.cli.init import init, starter_files
from opsroom.workflows.syntax import read_workflow

ROOT = Path(__file__).resolve().parents[2]
OPS = ROOT / "examples" / "shop" / "ops"
REFERENCE = (ROOT / "docs" / "reference" / "ops-repo.md").read_text("utf-8")
LISTED_ACTIONS = frozenset(re.findall(r"^\| `(opsroom/[a-z-]+)`", REFERENCE, re.MULTILINE))
_MAPS = ("map", "any")


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def area_kinds() -> list[Kind]:
    return [kind for area in load_areas() for kind in area.kinds]


def documented(kind: str) -> dict[str, tuple[str, str]]:
    """The fields that the reference lists for a kind, by path: type and remark."""
    section = re.search(rf"^### {kind} \(.*?(?=^##|\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert section, f"docs/reference/ops-repo.md has no section {kind}"
    fields = {}
    for line in section[0].splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        if len(cells) == 3 and cells[0].startswith("`"):
            fields |= dict.fromkeys(re.findall(r"`([^`]+)`", cells[0]), (cells[1], cells[2]))
    return fields


def used(value: Any, path: str) -> Iterator[str]:
    """The path of every leaf, with `[]` for any item of a list."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from used(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield from used(item, f"{path}[]")
    else:
        yield path


def is_told(path: str, fields: dict[str, tuple[str, str]]) -> bool:
    """Whether a field, or a map above it that may hold anything, is listed."""
    if path in fields:
        return True
    above = path
    while "." in above:
        above = above.rpartition(".")[0]
        if fields.get(above, ("",))[0].startswith(_MAPS):
            return True
    return False


@pytest.mark.parametrize("repository", ["example", "starter"])
def test_it_loads_without_a_problem(repository: str) -> None:
    files = files_of(OPS) if repository == "example" else starter_files()
    catalog, problems = load_catalog(files, "c", area_kinds())
    assert [str(problem) for problem in problems] == []
    assert catalog.all("Environment") and catalog.all("Component")


@pytest.mark.parametrize("repository", ["example", "starter"])
def test_every_field_it_uses_is_in_the_reference(repository: str) -> None:
    files = files_of(OPS) if repository == "example" else starter_files()
    catalog, _ = load_catalog(files, "c", area_kinds())
    backstage = {kind.name for kind in KINDS} - {"Variables"}
    seen = 0
    for kind in sorted(set(catalog.kinds) - backstage - {"Rules"}):
        fields = documented(kind)
        for resource in catalog.all(kind):
            for path in used(resource.raw, "spec" if resource.enveloped else ""):
                assert is_told(path, fields), f"{resource.place}: {path} is not in the reference"
                seen += 1
    assert seen > 3


def test_the_reference_and_the_models_say_the_same() -> None:
    for kind in area_kinds():
        if kind.name in {"Rules", "SLO"}:
            continue
        root = "" if kind.where else "spec"
        listed = {path for path in documented(kind.name) if path.startswith(root)}
        declared = set(_declared(kind.model.model_json_schema(), root))
        assert listed - declared == set(), f"{kind.name}: listed, and not in the model"
        left = {path for path in declared - listed if not any(other.startswith(path) for other in listed)}
        assert left == set(), f"{kind.name}: in the model, and not listed"


def test_the_envelope_is_in_the_reference() -> None:
    for field in Metadata.model_json_schema()["properties"]:
        assert f"`metadata.{field}`" in REFERENCE, field


def test_every_workflow_of_the_example_and_the_starter_is_valid() -> None:
    shop = OPS.parent
    texts = {str(file.relative_to(shop)): file.read_bytes() for file in shop.glob("*/.opsroom/workflows/*.yml")}
    texts |= {name: data for name, data in starter_files().items() if "/workflows/" in name}
    for name, text in texts.items():
        workflow, problems = read_workflow(text, name, plane_actions=LISTED_ACTIONS)
        assert workflow is not None and [str(problem) for problem in problems] == []
    assert len(texts) == 7


def test_actions_that_workflows_use_are_in_the_reference() -> None:
    texts = [file.read_text("utf-8") for file in OPS.parent.glob("*/.opsroom/workflows/*.yml")]
    used_here = set(re.findall(r"uses: (opsroom/[a-z-]+)", "\n".join(texts)))
    assert used_here <= LISTED_ACTIONS
    assert {action.name for area in load_areas() for action in area.actions} == LISTED_ACTIONS


def test_init_writes_the_starter_and_overwrites_nothing(tmp_path: Path) -> None:
    done = CliRunner().invoke(init, [str(tmp_path / "ops")])
    assert done.exit_code == 0 and "catalog-info.yaml" in done.output
    assert files_of(tmp_path / "ops") == starter_files()
    again = CliRunner().invoke(init, [str(tmp_path / "ops")])
    assert "is already there" in str(again.exception)
    assert (tmp_path / "ops" / ".opsroom" / "workflows" / "pipeline.yml").is_file()


def _declared(schema: dict[str, Any], path: str) -> Iterator[str]:
    """The paths of a JSON Schema's fields, as the reference writes them."""
    whole = schema

    def expand(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if "$ref" in one:
            yield from expand(whole["$defs"][one["$ref"].rpartition("/")[2]])
        elif "anyOf" in one or "allOf" in one:
            for option in (*one.get("anyOf", ()), *one.get("allOf", ())):
                yield from expand(option)
        else:
            yield one

    def walk(one: dict[str, Any], here: str) -> Iterator[str]:
        for option in expand(one):
            for name, below in option.get("properties", {}).items():
                full = f"{here}.{name}" if here else name
                yield full
                yield from walk(below, full)
            if isinstance(option.get("items"), dict):
                yield from walk(option["items"], f"{here}[]")

    yield from walk(schema, path)
