"""The one document that draws Mermaid: sandboxed, with an origin of its own, told what to draw by the page around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.surfaces.web import assets
from opsroom.surfaces.web.security import DIAGRAM_POLICY

if TYPE_CHECKING:
    from starlette.responses import Response


def diagram_document() -> Response:
    """An empty page with the drawing scripts."""
    from starlette.responses import HTMLResponse

    scripts = "".join(f'<script src="{assets.address(name)}"></script>' for name in ("vendor/mermaid.js", "diagram.js"))
    html = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Diagrams</title><body>{scripts}</body></html>'
    headers = {
        "content-security-policy": DIAGRAM_POLICY,
        "x-frame-options": "SAMEORIGIN",
        "cache-control": "public, max-age=3600",
    }
    return HTMLResponse(html, headers=headers)
