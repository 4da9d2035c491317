"""A secret pushed through a job's log, an error, a plan, a page and the API is seen nowhere."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path

import pytest

from area_plane import AreaPlane
from opsroom.kernel.errors import UserError
from opsroom.kernel.plan import compare
from opsroom.workflows import sandbox
from opsroom.workflows.starting import Repository

SECRET = "tr0ub4dor&3-correct-horse"
FORMS = (SECRET, base64.b64encode(SECRET.encode()).decode().rstrip("="), SECRET.replace("&", "%26"))
WORKFLOW = """
name: leaky
on: workflow_dispatch
jobs:
  leak:
    runs-on: ubuntu-latest
    outputs:
      stolen: ${{ steps.steal.outputs.value }}
    steps:
      - id: steal
        env:
          PASSWORD: ${{ secrets.PASSWORD }}
        run: |
          echo "the password is $PASSWORD"
          echo "$PASSWORD" | base64
          echo "value=$PASSWORD" >> "$GITHUB_OUTPUT"
          echo "::error::failed with $PASSWORD"
          echo "# $PASSWORD" >> "$GITHUB_STEP_SUMMARY"
          python3 -c 'import os; raise SystemExit(os.environ["PASSWORD"])'
"""


@pytest.mark.slow
def test_a_secret_is_seen_nowhere(house: AreaPlane, tmp_path: Path) -> None:
    if not (state := sandbox.probe()).available:
        pytest.skip(f"jobs cannot be sandboxed on this machine: {state.reason}")
    plane = house.plane
    plane.secrets.set("PASSWORD", SECRET, "person:admin")
    plane.engine.start()
    try:
        run = plane.engine.dispatch(
            ".opsroom/workflows/leaky.yml", WORKFLOW, {}, repository=Repository(name="ops"), ref="refs/heads/main",
            commit="c" * 40, actor="person:admin",
        )  # fmt: skip
        done = plane.engine.wait(run, timeout=30)
        assert done.conclusion == "failure"
        lines = [str(line["text"]) for line in plane.engine.log(run, "leak").lines]
        assert any("the password is ***" in line for line in lines), lines
    finally:
        plane.engine.stop()
    plane.journal.error("it broke", bug=UserError(f"no login with {SECRET}"), tried=SECRET)
    house.record("thing.happened", said=f"it was {SECRET}", deep={SECRET: [SECRET]})
    plan = compare(
        target="here",
        commit="c",
        kind="file",
        desired={"a": {"token": SECRET}},
        actual={"a": {"token": "old"}},
        secret=["token"],
    )
    house.settle()
    pages = [house.page(path, raw=True) for path in ("/", "/changes", "/runs", f"/runs/{run}")]
    api = house.api()
    answers = [
        api.get(f"/api/v1/{path}").text for path in ("events", f"runs/{run}", f"runs/{run}/log?job=leak", "secrets")
    ]
    for name, text in {
        "pages": "".join(pages), "api": "".join(answers), "journal": house.journal.getvalue(), "plan": plan.text(),
        "log": "\n".join(lines), "disk": _everything(plane.settings.state),
    }.items():  # fmt: skip
        for form in FORMS:
            assert form not in text, f"{form!r} is in the {name}"


def _everything(state: Path) -> str:
    """Every file of the state as text, and every value of the database."""
    texts = [
        path.read_bytes().decode("latin-1") for path in state.rglob("*") if path.is_file() and "sqlite" not in path.name
    ]
    with sqlite3.connect(state / "opsroom.sqlite") as connection:
        texts += connection.iterdump()
    return "\n".join(texts)
