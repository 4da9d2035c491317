"""Counts as people say them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opsroom.kernel.counting import counted

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("count", "said"), [(0, "no change"), (1, "1 change"), (2, "2 changes"), (1234, "1,234 changes")]
)
def test_a_count_is_said_as_people_say_it(count: int, said: str) -> None:
    assert counted(count, "change") == said


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert [counted(count, "policy", "policies") for count in (1, 3)] == ["1 policy", "3 policies"]


def test_no_text_of_the_product_leaves_the_plural_to_its_reader() -> None:
    texts = [*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.html"), *(ROOT / "docs").rglob("*.md")]
    left = [path.name for path in texts if re.search(r"\} \w+\(s\)", path.read_text("utf-8"))]
    assert not left
