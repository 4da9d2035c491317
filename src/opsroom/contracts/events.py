"""Event types as areas declare them: what may stand in the ledger, and how a person reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One type of event. `name` is `noun.past-participle`; `sentence` is a format string over the event's `data` and subjects
    by kind, such as "{service} {version} to {environment}, {strategy}";
    `{files:file}` counts, `{size:bytes}` and `{micros:money EUR}` measure (`formats.written`). `change`: it can be the cause of trouble, so it is
    marked on charts and ranked among suspects. `cdevents`: the CDEvents type it is exported as, if one exists."""

    name: str
    version: int = 1
    sentence: str
    change: bool = False
    cdevents: str = ""
