"""Which state folder a local command means, where several servers may have been started from one folder."""

from __future__ import annotations

from dataclasses import replace

from opsroom.kernel.settings import Settings

DATABASE = "opsroom.sqlite"


def in_use(settings: Settings) -> Settings:
    """The settings with the state and keys that are there: `opsroom up` keeps both one or two folders below its own, and who names
    only the keys of such a place would be told of a state that is none."""
    if settings.database or (settings.state / DATABASE).exists():
        return settings
    places = [settings.keys.parent, *(settings.state / name for name in ("own", "example"))]
    for place in places:
        if (place / "state" / DATABASE).exists():
            return replace(settings, state=place / "state", keys=place / "keys")
    return settings
