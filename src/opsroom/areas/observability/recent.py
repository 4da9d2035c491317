"""Answers that are good for a moment: several parts of a page ask the same, and one look serves them all."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.store import Store

T = TypeVar("T")
LIMIT = 256
"""Answers kept for one plane; the one used longest ago goes first."""

_lock = threading.Lock()
_kept: WeakKeyDictionary[Store, OrderedDict[Hashable, tuple[float, Any]]] = WeakKeyDictionary()


def recent(plane: Plane, key: Hashable, seconds: float, make: Callable[[], T]) -> T:
    """What `make()` gave under this key at most `seconds` ago, or gives now. What it raises is not kept."""
    now = plane.clock.monotonic()
    with _lock:
        answers = _kept.setdefault(plane.store, OrderedDict())
        at, value = answers.get(key, (float("-inf"), None))
        if 0 <= now - at < seconds:
            answers.move_to_end(key)
            return value  # type: ignore[no-any-return]
    made = make()
    with _lock:
        answers[key] = (now, made)
        answers.move_to_end(key)
        while len(answers) > LIMIT:
            answers.popitem(last=False)
    return made
