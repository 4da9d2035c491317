"""The eleven areas and the connectors, spelled out. A new one is a folder and a name here."""

from __future__ import annotations

from importlib import import_module

from opsroom.contracts.area import Area
from opsroom.contracts.ports import Connector

AREAS = (
    "delivery",
    "observability",
    "automation",
    "collaboration",
    "infrastructure",
    "security",
    "configuration",
    "performance",
    "incidents",
    "cost",
    "documentation",
)

CONNECTORS = ("webhook", "smtp")


def load_areas() -> tuple[Area, ...]:
    return tuple(import_module(f"opsroom.areas.{name}").AREA for name in AREAS)


def load_connectors() -> tuple[Connector, ...]:
    return tuple(import_module(f"opsroom.connectors.{name}").CONNECTOR for name in CONNECTORS)
