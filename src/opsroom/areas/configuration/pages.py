"""The pages of configuration."""

from __future__ import annotations

from opsroom.contracts.pages import PageDeclaration, Part

PAGES: tuple[PageDeclaration, ...] = ()
PARTS: tuple[Part, ...] = ()
