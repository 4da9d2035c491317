"""The table of contents is what the areas declare. `python tests/cli/test_contents.py` writes it anew."""

from __future__ import annotations

from pathlib import Path

from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.surfaces.cli import contents
from opsroom.surfaces.cli.index import OWN_COMMANDS, render, sections_of, source_of
from opsroom.surfaces.cli.root import modules_by_noun


def expected() -> str:
    from opsroom.app.areas import load_areas

    return source_of(sections_of(load_areas(), KERNEL_OPERATIONS))


def test_the_table_of_contents_is_what_the_areas_declare() -> None:
    written = Path(contents.__file__).read_text()
    assert written == expected(), "contents.py is stale; run: python tests/cli/test_contents.py"


def test_no_noun_hides_an_own_command() -> None:
    assert not set(OWN_COMMANDS) & set(modules_by_noun())


def test_help_names_every_command_and_fits_a_terminal() -> None:
    text = render(contents.SECTIONS)
    for name in (*OWN_COMMANDS, *modules_by_noun()):
        assert f"\n  {name} " in text
    assert all(len(line) <= 100 for line in text.splitlines() if not line[:1].isupper())


if __name__ == "__main__":
    Path(contents.__file__).write_text(expected())
