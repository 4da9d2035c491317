"""Which rules are in force, and the telling of it when that changes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from opsroom.areas.observability import store as rows
from opsroom.contracts.area import Subscription
from opsroom.telemetry.rulefiles import RuleGroup, check_rules

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.ledger import Event
    from opsroom.kernel.resources import Catalog

ACTOR = "system:observability"

_read: WeakKeyDictionary[Catalog, tuple[RuleGroup, ...]] = WeakKeyDictionary()


def groups_of(catalog: Catalog) -> tuple[RuleGroup, ...]:
    """Every rule group of a catalog, by file; read once for each catalog."""
    known = _read.get(catalog)
    if known is None:
        texts = [(one.name, catalog.read(one.name).decode("utf-8-sig")) for one in catalog.all("Rules")]
        known = _read[catalog] = tuple(group for file, text in texts for group in check_rules(text, file)[0])
    return known


def tell_rules(plane: Plane, event: Event) -> None:
    """Records `rules.loaded` where a change of the catalog changed the rules; the same event again records nothing."""
    catalog = plane.catalogs.current()
    groups, digest = groups_of(catalog), _digest(catalog)
    rules = [rule for group in groups for rule in group.rules]
    with plane.store.begin() as tx:
        known = rows.loaded(tx)
        if (known is None and not rules) or (known is not None and known["digest"] == digest):
            return
        told = plane.ledger.record(
            tx, "rules.loaded", actor=ACTOR, cause=event.id, key=f"rules.loaded:{event.id}:{digest}",
            subjects=[one for one in event.subjects if one.startswith(("commit:", "repository:"))],
            data={"groups": len(groups), "rules": len(rules), "alerts": sum(bool(rule.alert) for rule in rules),
                  "files": sorted({group.file for group in groups}), "commit": catalog.commit},
        )  # fmt: skip
        rows.put_loaded(tx, digest, at=told.time, event=told.id)


def _digest(catalog: Catalog) -> str:
    """Of the rule files as they are written: a new comment changes it too, as it may move a place."""
    whole = hashlib.sha256()
    for resource in catalog.all("Rules"):
        whole.update(resource.name.encode() + b"\0" + catalog.read(resource.name) + b"\0")
    return whole.hexdigest()


RULES_LOADED = Subscription(name="rules", types=("catalog.changed",), handle=tell_rules)
