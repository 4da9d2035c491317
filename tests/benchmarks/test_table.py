"""The harness around what is measured: parts chosen by area, the table, the files. Nothing is timed here."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from benchmarks.__main__ import AREAS, PARTS, main
from benchmarks.rows import as_markdown, as_table, row

from opsroom.app import areas

FIELDS = {"id", "area", "unit", "ours", "peer", "peer_name", "ratio", "aim", "met"}
BESIDE = {
    "id": "run.wide.plain.wall", "area": "delivery", "unit": "s", "ours": 1.5, "peer": 3.0, "peer_name": "act",
    "ratio": 0.5, "aim": 1.0, "met": True,
}  # fmt: skip
ABSENT = {**BESIDE, "id": "run.long.plain.wall", "peer": "not measured", "ratio": None, "met": False}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("benchmarks", "docs"):
        (tmp_path / name).mkdir()
    return tmp_path


def parts(asked: list[str]) -> Any:
    def of(name: str, found: list[Any]) -> Any:
        def measure() -> list[Any]:
            asked.append(name)
            return found

        return measure

    return {
        "command line": (("kernel",), of("command line", [row("help", "kernel", "ms", 120.0, aim=150)])),
        "beside act": (("delivery",), of("beside act", [BESIDE, ABSENT])),
        "pages": (("kernel", "delivery"), of("pages", [row("page./", "kernel", "ms", 250.0, aim=200)])),
    }


def test_all_parts_give_the_table_the_json_and_the_page(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []
    assert main([], parts=parts(asked), root=root) == 0
    assert asked == ["command line", "beside act", "pages"]
    found = json.loads((root / "benchmarks" / "latest.json").read_text())
    assert [one["id"] for one in found] == ["help", "run.wide.plain.wall", "run.long.plain.wall", "page./"]
    assert all(set(one) == FIELDS for one in found)
    assert [one["met"] for one in found] == [True, True, False, False]
    assert (
        "| run.wide.plain.wall | 1.5 s | 3 s (act) | 0.50 | ≤ 1 | yes |"
        in (root / "docs" / "benchmarks.md").read_text()
    )
    assert "page./" in capsys.readouterr().out


def test_an_area_runs_only_the_parts_that_speak_of_it_and_leaves_the_page(root: Path) -> None:
    asked: list[str] = []
    main(["--area", "delivery"], parts=parts(asked), root=root)
    assert asked == ["beside act", "pages"]
    found = json.loads((root / "benchmarks" / "latest.json").read_text())
    assert {one["area"] for one in found} == {"delivery"}
    assert not (root / "docs" / "benchmarks.md").exists()


def test_an_unknown_area_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--area", "marketing"])
    assert ended.value.code == 2
    assert "marketing" in capsys.readouterr().err


def test_what_could_not_be_measured_is_never_met() -> None:
    assert row("x", "cost", "ms", None, aim=200)["met"] is False
    assert row("x", "cost", "ms", None)["met"] is None
    assert row("x", "cost", "ms", 200.0, aim=200)["met"] is True
    cells = as_table([row("x", "cost", "ms", None, aim=200)]).splitlines()[1].split()
    assert cells == ["x", "not", "measured", "≤", "200", "ms", "no"]


def test_the_page_says_when_where_and_how_many_aims_are_met() -> None:
    text = as_markdown([BESIDE, ABSENT, row("x", "cost", "ms", 5.0)], day=datetime(2026, 1, 5, tzinfo=UTC))
    assert "Measured 2026-01-05 on " in text
    assert "1 of 2 aims are met" in text


def test_every_area_has_a_part() -> None:
    assert areas.AREAS == AREAS
    assert {area for names, _ in PARTS.values() for area in names} == {"kernel", *AREAS}
