"""Published workflow and action files: accepted or refused as their publishers say, at the same lines and columns."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from opsroom.workflows.syntax import read_action, read_workflow

READERS = {"github-workflow": read_workflow, "github-action": read_action}
NOT_OWED = {
    "errors-anchor-tag.yml": "anchors are supported, as GitHub does since 2025",
    "errors-max-depth.yml": "its header sets a limit of its own for the test",
    "errors-parse-float.yml": "names no column",
    "errors-yaml-tags-explicit-unsupported.yml": "names no column",
}


@pytest.mark.parametrize("kind", READERS)
def test_schemastore_files_that_must_pass(conformance: Path, kind: str) -> None:
    files = sorted((conformance / "schemastore" / "test" / kind).iterdir())
    assert files
    refused = {file.name: problems for file in files if (problems := READERS[kind](file.read_bytes(), file.name)[1])}
    assert refused == {}


@pytest.mark.parametrize("kind", READERS)
def test_schemastore_files_that_must_fail(conformance: Path, kind: str) -> None:
    files = sorted((conformance / "schemastore" / "negative_test" / kind).iterdir())
    assert files
    for file in files:
        value, problems = READERS[kind](file.read_bytes(), file.name)
        assert value is None, file.name
        assert all(problem.place.line for problem in problems)


def test_githubs_reader_cases(conformance: Path) -> None:
    checked = 0
    for file in sorted((conformance / "github-actions" / "reader").glob("*.yml")):
        parts = re.split(r"(?m)^---\s*$\n?", file.read_text())
        if len(parts) != 3 or file.name in NOT_OWED:
            continue
        checked += 1
        expected = [error["Message"] for error in json.loads(parts[2]).get("errors", [])]
        workflow, problems = read_workflow(parts[1], file.name)
        assert (workflow is None) == bool(expected), (file.name, problems)
        found = {(problem.place.line, problem.place.column) for problem in problems}
        places = [re.search(r"Line: (\d+), Col: (\d+)", message) for message in expected]
        assert {(int(place[1]), int(place[2])) for place in places if place} == found, file.name
    assert checked > 60
