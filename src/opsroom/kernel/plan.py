"""Plans: a plan is a value that can be printed, stored, reviewed, and applied exactly as approved."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from opsroom.kernel.errors import Conflict
from opsroom.kernel.store import dumps

Verb = Literal["create", "update", "delete"]
VERSION = 1
_SIGN = {"create": "+", "update": "~", "delete": "-"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field that differs. `secret`: the values are digests and are never shown."""

    name: str
    before: Any = None
    after: Any = None
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One object to change. `before_digest` is what was read when the plan was made: applying checks it first. `risk` names what may
    be lost or opened ("" : nothing)."""

    verb: Verb
    kind: str
    name: str
    target: str
    fields: tuple[FieldChange, ...] = ()
    before_digest: str = ""
    risk: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would change to make `target` as it stands at `commit`. `unknown` names what could not be read and why: nothing is
    planned for it."""

    target: str
    commit: str
    changes: tuple[Change, ...]
    unknown: Mapping[str, str] = field(default_factory=dict)
    version: int = VERSION

    @property
    def digest(self) -> str:
        """Names exactly this plan; an approval names it too."""
        return "sha256:" + hashlib.sha256(dumps(self.to_json()).encode()).hexdigest()

    @property
    def empty(self) -> bool:
        return not self.changes

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        """As a person reviews it: one object a paragraph, + ~ -, risks named, secrets not shown."""
        lines = [_paragraph(change) for change in self.changes]
        lines += [f"? {name}: unknown, {reason}" for name, reason in sorted(self.unknown.items())]
        return "\n".join(lines) or f"{self.target}: no changes"


def plan_from_json(value: Mapping[str, Any]) -> Plan:
    """Reads a stored plan of any version this release knows; another is Conflict."""
    if value.get("version") != VERSION:
        raise Conflict(
            f"this plan has version {value.get('version')!r}, this release applies version {VERSION}; plan again"
        )
    changes = tuple(
        Change(**{**change, "fields": tuple(FieldChange(**item) for item in change["fields"])})
        for change in value["changes"]
    )
    return Plan(target=value["target"], commit=value["commit"], changes=changes, unknown=dict(value["unknown"]))


def compare(
    *, target: str, commit: str, kind: str, desired: Mapping[str, Mapping[str, Any]], actual: Mapping[str, Mapping[str, Any]],
    unknown: Mapping[str, str] | None = None, secret: Sequence[str] = (), risk: Callable[[Change], str] = lambda change: "",
) -> Plan:  # fmt: skip
    """The plan that makes `actual` objects (name → fields) `desired`. What is in `unknown` is left alone, never created or deleted."""
    changes = []
    for name in sorted({*desired, *actual} - {*(unknown or {})}):
        before, after = actual.get(name), desired.get(name)
        if before == after:
            continue
        verb: Verb = "create" if before is None else "delete" if after is None else "update"
        fields = tuple(
            FieldChange(name=key, before=(before or {}).get(key), after=(after or {}).get(key), secret=key in secret)
            for key in sorted({*(before or {}), *(after or {})})
            if (before or {}).get(key) != (after or {}).get(key)
        )
        bare = Change(verb=verb, kind=kind, name=name, target=target, fields=fields, before_digest=state_digest(before))
        changes.append(
            Change(
                verb=verb,
                kind=kind,
                name=name,
                target=target,
                fields=fields,
                before_digest=bare.before_digest,
                risk=risk(bare),
            )
        )
    return Plan(target=target, commit=commit, changes=tuple(changes), unknown=dict(unknown or {}))


def state_digest(fields: Mapping[str, Any] | None) -> str:
    """Names what an object looked like; "" for one that does not exist."""
    return "" if fields is None else hashlib.sha256(dumps(dict(fields)).encode()).hexdigest()


def apply(
    plan: Plan, *, read: Callable[[Change], Mapping[str, Any] | None], write: Callable[[Change], None],
    done: Callable[[Change], None],
) -> int:  # fmt: skip
    """Carries out exactly this plan, in its order; returns how many changes. An object that is no longer as the plan saw it
    stops everything not yet done with a Conflict that says what moved; one that already is as wanted counts as done (resuming)."""
    applied = 0
    for change in plan.changes:
        now = read(change)
        if _is_done(change, now):
            done(change)
            continue
        if state_digest(now) != change.before_digest:
            raise Conflict(
                f"{change.kind} {change.name} on {change.target} has moved since the plan was made; plan again"
            )
        write(change)
        done(change)
        applied += 1
    return applied


def _is_done(change: Change, now: Mapping[str, Any] | None) -> bool:
    if change.verb == "delete":
        return now is None
    return now is not None and all(now.get(item.name) == item.after for item in change.fields)


def _paragraph(change: Change) -> str:
    head = f"{_SIGN[change.verb]} {change.kind} {change.name}"
    lines = [f"{head}  [{change.risk}]" if change.risk else head]
    for item in change.fields:
        values = "(secret)" if item.secret else f"{item.before!r} -> {item.after!r}"
        lines.append(f"    {item.name}: {values}")
    return "\n".join(lines)
