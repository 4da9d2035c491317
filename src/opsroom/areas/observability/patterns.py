"""Log lines by pattern: lines that differ only in numbers and ids are one, counted; what no line said before a moment is new."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from opsroom.telemetry.port import LogPage, LogRecord
from opsroom.telemetry.within import joined, quoted

READ = 400
"""So many of the newest lines are put into patterns."""
SHOWN = 30
ASKED = 8
"""Of so many patterns the store is asked whether a line before had them."""
FIRST = 20
BACK = 86_400.0
"""How many seconds before the moment are looked through."""
ANY = "…"

_VARYING = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|\b0x[0-9a-fA-F]+\b|\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b|\d+(?:[.:,]\d+)*"
)
_WORDS = re.compile(r"[^\W\d_]+")


Key = tuple[str, str, str]
"""A pattern, the service and the level."""
Asked = Callable[[Key, float], bool | None]


class Lines(Protocol):
    def search_logs(self, query: str, start: float, end: float, *, limit: int = 100, before: str = "") -> LogPage: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """`text` has … where lines differ. `new`: no line of the day before the moment had it; None: not known."""

    text: str
    service: str
    level: str
    count: int
    search: str
    new: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """The most frequent first, new ones before them; of how many lines they are made, and whether there were more."""

    rows: tuple[Pattern, ...]
    lines: int
    more: bool


def pattern_of(message: str) -> str:
    """The message's first line with … for every number, hash, address and id."""
    return _VARYING.sub(ANY, message.strip().partition("\n")[0])


def patterns_in(
    lines: Lines, query: str, start: float, end: float, *, since: float | None, is_new: Asked | None = None
) -> Patterns:  # fmt: skip
    """The patterns of the newest lines in [start, end) that match; `since` is the moment before which a pattern is old.
    `is_new(key, since)` answers for a pattern; by default the store is asked, and its answer stays true."""
    page = lines.search_logs(query, start, end, limit=READ)
    counted = Counter((pattern_of(record.message), record.service, record.level) for record in page.records)
    old = {_key(one) for one in page.records if since is not None and one.time < since}
    candidates = [key for key in counted if since is not None and key not in old][:ASKED]
    known: dict[Key, bool | None] = dict.fromkeys(old, False)
    ask = is_new or partial(ask_whether_new, lines)
    known |= {key: ask(key, since) for key in candidates if since is not None}
    rows = [
        Pattern(text=key[0], service=key[1], level=key[2], count=count, search=_search(key), new=known.get(key))
        for key, count in counted.most_common()
    ]
    return Patterns(
        rows=tuple(sorted(rows, key=lambda row: not row.new)[:SHOWN]), lines=len(page.records), more=bool(page.before)
    )


def _key(record: LogRecord) -> Key:
    return pattern_of(record.message), record.service, record.level


def ask_whether_new(lines: Lines, key: Key, since: float) -> bool | None:
    """Whether no line before has the pattern; None where those with its words are too many to tell."""
    for limit in (FIRST, READ):  # what is said often is among the first
        page = lines.search_logs(_search(key), since - BACK, since, limit=limit)
        if any(_key(record) == key for record in page.records):
            return False
        if not page.before:
            return True
    return None


def _search(key: Key) -> str:
    """A search that finds every line of the pattern, and few others."""
    text, service, level = key
    words = list(dict.fromkeys(_WORDS.findall(text)))[:8]
    terms = [f"{name}:{quoted(value)}" for name, value in (("service", service), ("level", level)) if value]
    return joined(" AND ".join(quoted(word) for word in words), " AND ".join(terms))
