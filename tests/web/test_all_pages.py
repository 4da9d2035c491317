"""Every page of a plane with all eleven areas, in a real Chromium: with nothing in it, and over the example's ops repo."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette

sys.path.append(str(Path(__file__).resolve().parents[1]))

from area_plane import AreaPlane, build_area_plane  # noqa: E402
from opsroom.app.areas import AREAS  # noqa: E402
from opsroom.areas.incidents.operations.incidents import create_incident  # noqa: E402
from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS  # noqa: E402
from opsroom.contracts.sentences import KERNEL_EVENTS  # noqa: E402
from opsroom.kernel.clock import SystemClock  # noqa: E402
from opsroom.surfaces.web.app import build_web  # noqa: E402

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shop" / "ops"
OWN = (
    "/",
    "/services",
    "/changes",
    "/changes/compare",
    "/search",
    "/search?q=storefront",
    "/look",
    "/verbs/waivers.create",
)
OF_THE_EXAMPLE = (
    "/services/storefront", "/environments/production", "/repositories/ops", "/tasks/check-stock", "/alerts/StorefrontSlow",
    "/workflows/start?repository=ops&workflow=.opsroom/workflows/rollback.yml", "/docs/docs/index.md", "/docs/services/storefront",
    "/explore?query=up&logs=level:error", "/runs?status=running", "/changes?only=changes",
)  # fmt: skip
FAULTS = """() => {
  const faults = [], say = (what, element) => faults.push(`${what}: ${element.outerHTML.slice(0, 160)}`);
  const named = (one) => one.getAttribute("aria-label") || one.getAttribute("title") || one.innerText?.trim() || one.textContent.trim();
  if (document.documentElement.scrollWidth > innerWidth) faults.push(`${document.documentElement.scrollWidth} wide in ${innerWidth}`);
  if (document.querySelectorAll("h1").length !== 1) faults.push(`${document.querySelectorAll("h1").length} first headings`);
  let level = 1;
  for (const heading of document.querySelectorAll("main :is(h1, h2, h3, h4)")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) say(`a heading of level ${own} after one of level ${level}`, heading);
    level = own;
  }
  for (const field of document.querySelectorAll("main :is(input:not([type=hidden]), select, textarea)")) if (!field.labels.length && !field.getAttribute("aria-label")) say("a field without a label", field);
  for (const one of document.querySelectorAll(":is(a[href], button)")) if (!named(one)) say("no name", one);
  for (const image of document.querySelectorAll("main :is(img:not([alt]), svg:not([aria-hidden]):not([aria-label]))")) say("a picture without words", image);
  const seen = new Set();
  for (const one of document.querySelectorAll("[id]")) { if (seen.has(one.id)) say(`the id ${one.id} twice`, one); seen.add(one.id); }
  const channels = (css) => { const found = css.match(/[\\d.]+/g).map(Number); return css.startsWith("color(srgb") ? [...found.slice(0, 3).map((one) => one * 255), found[3] ?? 1] : [...found.slice(0, 3), found[3] ?? 1]; };
  const over = (top, below) => [0, 1, 2].map((at) => top[at] * top[3] + below[at] * (1 - top[3]));
  const ground = (element) => { const own = element ? channels(getComputedStyle(element).backgroundColor) : [255, 255, 255, 1]; return own[3] === 1 ? own : over(own, ground(element.parentElement)); };
  const light = (rgb) => { const [r, g, b] = rgb.map((one) => (one /= 255) <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), judged = new Set();
  while (texts.nextNode()) {
    const one = texts.currentNode.parentElement;
    if (judged.has(one) || !texts.currentNode.data.trim() || !one.checkVisibility() || one.closest("svg, script, style, :disabled, .unseen, .skip, option")) continue;
    judged.add(one);
    const style = getComputedStyle(one), below = ground(one), text = over(channels(style.color), below), [high, low] = [light(text), light(below)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize), enough = size >= 24 || size >= 18.66 && style.fontWeight >= 700 ? 3 : 4.5, ratio = (high + 0.05) / (low + 0.05);
    if (ratio < enough) say(`contrast of ${ratio.toFixed(2)}`, one);
  }
  for (const one of document.querySelectorAll(":is(a[href], button:enabled, input:not([type=hidden]), select, textarea, summary, [tabindex='0'])")) {
    if (!one.checkVisibility({ visibilityProperty: true }) || one.closest(".skip, dialog")) continue;
    one.focus({ preventScroll: true });
    if (document.activeElement === one && getComputedStyle(one).outlineStyle === "none") say("focus that is not seen", one);
  }
  document.activeElement.blur();
  return faults;
}"""
"""What is wrong with the page that is open: wider than the window, headings out of order, things a screen reader cannot name, text
too faint for its ground (WCAG 2.2, 1.4.3), focus by the keyboard that is not seen."""


@pytest.fixture(params=["empty", "example"])
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[AreaPlane, list[str]]]:
    """A plane and the addresses of its pages."""
    made = build_area_plane(tmp_path, AREAS, SystemClock())
    paths = [*OWN, *(page.path for area in made.areas for page in area.pages if "{" not in page.path)]
    paths.remove("/workflows/start")  # needs to be told which
    if request.param == "example":
        paths += [*OF_THE_EXAMPLE, *_filled(made)]
    made.plane.ledger.seal()
    yield made, paths
    made.plane.store.close()


@pytest.mark.parametrize(("width", "theme"), [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")])
def test_every_page_is_whole_fits_and_can_be_read(
    whole: tuple[AreaPlane, list[str]], serve: Callable[..., Any], visit_of: Callable[..., Any], width: int, theme: str
) -> None:
    made, paths = whole
    server = serve(made.plane, lambda: _web(made))
    seen = visit_of(server, "/", width=width, theme=theme)
    faults: dict[str, list[str]] = {}
    for path in paths:
        status = seen.go(path)
        seen.page.wait_for_load_state("load")
        text = seen.page.locator("main").inner_text()
        seen.page.keyboard.press("Tab")  # from here on the browser shows where the focus is
        found = [*seen.page.evaluate(FAULTS), *seen.problems]
        seen.problems.clear()
        if status != 200:
            found.append(f"status {status}: {text[:200]}")
        if "this part failed" in text:
            found.append("a part failed")
        if found:
            faults[path] = found
    assert not faults, f"{faults}\n{made.journal.getvalue()[-3000:]}"
    hosts = {urlsplit(url).netloc for url in seen.requests if not url.startswith(("data:", "blob:"))}
    assert hosts == {urlsplit(server.url).netloc}


def _web(made: AreaPlane) -> Starlette:
    return build_web(made.plane, made.areas, operations=KERNEL_OPERATIONS, events=KERNEL_EVENTS)


def _filled(made: AreaPlane) -> list[str]:
    """Puts the example's ops repo in force, with a push, a deployment and an incident; the addresses of what that made."""
    made.decide({
        str(path.relative_to(EXAMPLE)): path.read_text()
        for path in sorted(EXAMPLE.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    })  # fmt: skip
    pushed = made.push("storefront", "c" * 40)
    deployed = made.deployed(cause=pushed.id)
    incident = create_incident(made.call, title="Checkout fails", service="storefront", environment="production")
    made.settle()
    return [f"/changes/{deployed.id}", f"/incidents/{incident.id}"]
