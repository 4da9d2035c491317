"""The reference is what the declarations say: a file that differs names the command that writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsroom.app.areas import AREAS, load_areas
from opsroom.surfaces.reference import COMMAND, areas_in_contents, main, reference

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
WRITTEN = reference(load_areas())


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_the_file_is_what_would_be_written(name: str) -> None:
    path = FOLDER / name
    assert path.exists() and path.read_text() == WRITTEN[name], f"docs/reference/{name} is stale; run {COMMAND}"


def test_the_command_knows_every_area() -> None:
    assert tuple(area.name for area in areas_in_contents()) == AREAS


def test_check_names_what_differs_and_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--folder", str(tmp_path)]) == 0
    assert main(["--folder", str(tmp_path), "--check"]) == 0
    (tmp_path / "facts.md").write_text("# Facts\n")
    capsys.readouterr()
    assert main(["--folder", str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().out == f"{tmp_path / 'facts.md'} differs; run {COMMAND}\n"
    assert (tmp_path / "facts.md").read_text() == "# Facts\n"


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_every_row_of_a_table_has_the_cells_of_its_head(name: str) -> None:
    cells = 0
    for line in WRITTEN[name].splitlines():
        if not line.startswith("|"):
            cells = 0
            continue
        found = line.replace("\\|", "").count("|")
        cells = cells or found
        assert found == cells, line
