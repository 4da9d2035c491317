"""`opsroom check`: what a push would be told, told before it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shop" / "ops"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.slow
def test_the_example_and_the_starter_hold(run: Run, tmp_path: Path) -> None:
    assert run("check", str(EXAMPLE)) == (0, "42 resources, 4 workflows: nothing is wrong\n", "")
    assert run("init", str(tmp_path / "ops"))[0] == 0
    assert run("check", str(tmp_path / "ops"))[:2] == (0, "5 resources, 1 workflow: nothing is wrong\n")


@pytest.mark.slow
def test_everything_wrong_is_told_at_once_by_place(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ops = write(
        tmp_path,
        {
            ".gitignore": "/build\n",
            "build/rules/ignored.yml": "groups: 1\n",
            "catalog-info.yaml": "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {name: a}\nspec: {children: 1}\n",
            "rules/r.yml": 'groups: [{name: a, rules: [{alert: X, expr: "sum(rate(x"}]}]\n',
            ".opsroom/workflows/w.yml": "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: opsroom/nothing\n",
        },
    )
    subprocess.run(["git", "init", "-q", str(ops)], check=True)
    monkeypatch.chdir(ops)
    status, out, error = run("check")
    places = [line.split(": ")[0] for line in out.splitlines()]
    assert (status, error) == (1, f"{len(places)} problems in {ops}\n")
    assert ".opsroom/workflows/w.yml:6:15" in places and "rules/r.yml:1:45" in places
    assert any(place.startswith("catalog-info.yaml:4:") for place in places)
    assert not any("ignored" in place for place in places)
    told = [json.loads(line) for line in run("check", "--json")[1].splitlines()]
    assert [one["place"]["file"] for one in told] == [place.split(":")[0] for place in places]


def test_a_folder_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    status, out, error = run("check", str(tmp_path / "nope"))
    assert (status, out) == (1, "") and error.startswith(f"Error: {tmp_path}/nope: there is no such folder;")
