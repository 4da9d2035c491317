"""The palette: every text stands out from what it is written on, in both themes; every icon that is named exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opsroom.surfaces.web import assets, navigation

CSS = (assets.STATIC / "app.css").read_text()
TEMPLATES = Path(assets.__file__).parent / "templates"
STATES = ("ok", "running", "waiting", "failed", "unknown", "skipped")
TEXTS = ("text", "muted", "accent", *STATES, "red", "green", "yellow", "blue", "magenta", "cyan", "black", "white")


def colours(theme: str) -> dict[str, tuple[int, int, int]]:
    selector = r":root\[data-theme=\"dark\"\]" if theme == "dark" else r":root"
    block = re.search(selector + r" \{(.*?)\}", CSS, re.DOTALL)[1]
    found = re.findall(r"--([\w-]+): #([0-9a-f]{6});", block)
    return {name: tuple(bytes.fromhex(value)) for name, value in found}


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """WCAG 2.2, definition of contrast ratio."""

    def luminance(colour: tuple[int, int, int]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_contrast(theme):
    palette = colours(theme)
    for text in TEXTS:
        for ground in ("page", "side", "raised", "hover"):
            assert contrast(palette[text], palette[ground]) >= 4.5, f"{theme}: {text} on {ground}"
    for state in STATES:
        assert contrast(palette[state], palette[f"{state}-soft"]) >= 4.5, f"{theme}: {state} on its soft ground"
    for ground in ("added", "removed", "changed", "hit", "accent-soft"):
        assert contrast(palette["text"], palette[ground]) >= 4.5, f"{theme}: text on {ground}"
    assert contrast(palette["on-accent"], palette["accent"]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_controls_and_series_stand_out(theme):
    palette = colours(theme)
    assert contrast(palette["line-strong"], palette["page"]) >= 3
    for number in range(1, 7):
        assert contrast(palette[f"series-{number}"], palette["page"]) >= 3, f"{theme}: series {number}"


def test_both_themes_name_the_same_colours():
    assert set(colours("light")) == set(colours("dark"))


def test_every_icon_is_in_the_sprite(front_end_files):
    sprite = set(re.findall(r'<symbol id="([\w-]+)"', (assets.STATIC / "vendor/icons.svg").read_text()))
    used = {*navigation.ICONS.values(), "circle"}
    for template in [*TEMPLATES.rglob("*.html"), *area_templates()]:
        used |= set(re.findall(r"""(?:ui\.icon\(|icon=)['"]([\w-]+)['"]""", template.read_text()))
    assert used <= sprite, f"name these in ICONS of hatch_build.py: {sorted(used - sprite)}"


def area_templates() -> list[Path]:
    return sorted((Path(assets.__file__).parents[2] / "areas").glob("*/templates/**/*.html"))


@pytest.mark.parametrize("template", area_templates(), ids=lambda path: "/".join(path.parts[-3:]))
def test_templates_of_areas_use_parts_that_exist(web, template):
    """A part that is misspelled fails here, not when someone opens the page."""
    environment = web.state.web.templates.environment
    text = template.read_text()
    environment.parse(text)
    known = set(vars(environment.globals["ui"]))
    used = set(re.findall(r"\bui\.(\w+)", text))
    assert used <= known, f"no such part: {sorted(used - known)}; parts are {sorted(known)}"
    assert " style=" not in text and "<script" not in text, (
        "the content security policy forbids inline style and script"
    )
