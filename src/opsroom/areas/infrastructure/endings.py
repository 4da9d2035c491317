"""What ends when: tokens, waivers, certificates; and how old secrets and keys are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from opsroom.areas.infrastructure import store as rows
from opsroom.areas.infrastructure.certificates import endpoints
from opsroom.areas.infrastructure.model import Ending

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.waivers import Waiver

KEPT_AFTER = timedelta(days=30)
"""How long a token that expired is still shown."""
_ENDS = {
    "silence": "alerts of {scope} notify again",
    "finding-ignored": "findings of {scope} count again, and a gate may refuse",
    "drift-accepted": "drift of {scope} counts again",
    "quarantine": "{scope} runs again with the others",
    "freeze": "{scope} may be deployed and applied again",
    "maintenance": "alerts of {scope} count again",
}


def endings(plane: Plane) -> list[Ending]:
    """All of them, the next to end first, those without an end last."""
    found = [*_tokens(plane), *_waivers(plane), *_certificates(plane), *_secrets(plane), *_keys(plane)]
    far = datetime.max.replace(tzinfo=UTC)
    return sorted(found, key=lambda one: (one.expires or far, one.kind, one.name))


def _tokens(plane: Plane) -> Iterator[Ending]:
    now = plane.clock.now()
    for token in plane.actors.tokens.all():
        if token.revoked is None and (token.expires is None or token.expires > now - KEPT_AFTER):
            used = f", last used {token.last_used:%Y-%m-%d}" if token.last_used else ", never used"
            yield Ending(
                kind="token", id=token.id, name=token.name, owner=token.person, since=token.created, expires=token.expires,
                breaks=(f"what signs in as {token.person} with the token {token.name!r}{used}",),
            )  # fmt: skip


def _waivers(plane: Plane) -> Iterator[Ending]:
    for waiver in plane.waivers.all():
        yield Ending(
            kind="waiver", id=waiver.id, name=f"{waiver.kind} of {waiver.scope}", owner=waiver.owner, since=waiver.granted_at,
            expires=waiver.expires, breaks=(_after(waiver),), cause=waiver.event,
        )  # fmt: skip


def _after(waiver: Waiver) -> str:
    return _ENDS.get(waiver.kind, "{scope} is no exception any more").format(scope=waiver.scope)


def _certificates(plane: Plane) -> Iterator[Ending]:
    with plane.store.read() as tx:
        known = rows.certificates(tx)
    for address, uses in endpoints(plane).items():
        seen = known.get(address)
        unknown = "not looked at yet" if seen is None else seen.error
        yield Ending(
            kind="certificate", id=address, name=address, owner=seen.issuer if seen else "",
            since=seen.begins if seen else None, expires=seen.expires if seen else None, breaks=tuple(uses), unknown=unknown,
        )  # fmt: skip


def _secrets(plane: Plane) -> Iterator[Ending]:
    for secret in plane.secrets.all():
        used = f"last read {secret.read_at:%Y-%m-%d}" if secret.read_at else "never read"
        yield Ending(
            kind="secret", id=secret.name, name=secret.name, owner=secret.set_by, since=secret.set_at, expires=None,
            breaks=(f"nothing by itself: a secret has no end; {used}",),
        )  # fmt: skip


def _keys(plane: Plane) -> Iterator[Ending]:
    """Key files by their age; what is in them is not looked at."""
    folder = plane.settings.keys
    for file in sorted(folder.glob("*-key")) if folder.is_dir() else []:
        written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        breaks = ("nothing by itself: it has no end; keep a copy of it outside, it is in no backup",)
        yield Ending(kind="key", id=file.name, name=file.name, owner="", since=written, expires=None, breaks=breaks)
