"""How many of a thing, as people say it."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str = "") -> str:
    """`no change`, `1 change`, `2 changes`; `plural` where an s is not enough."""
    if count == 0:
        return f"no {noun}"
    return f"1 {noun}" if count == 1 else f"{count:,} {plural or noun + 's'}"
