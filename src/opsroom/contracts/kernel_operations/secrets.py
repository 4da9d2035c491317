"""Secrets on every surface: set, listed and deleted, never shown."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import SecretStr

from opsroom.contracts.operations import Model, operation
from opsroom.contracts.scopes import WHOLE

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call


class SecretView(Model):
    """A secret without its value; `key` is the master key that encrypts it."""

    name: str
    key: str
    set_at: datetime
    set_by: str
    read_at: datetime | None


class Rotated(Model):
    """How many secrets are encrypted anew, and with which key."""

    secrets: int
    key: str


@operation("secrets.list", scope=WHOLE)
def secrets_list(call: Call) -> list[SecretView]:
    """Names of the secrets, who set them and when they were last read; never a value."""
    return [SecretView(**asdict(secret)) for secret in call.plane.secrets.all()]


@operation("secrets.set", needs="admin", scope=WHOLE)
def secrets_set(call: Call, id: str, *, value: SecretStr) -> SecretView:
    """Create or replace a secret. Error: a bad name; fewer than 4 characters."""
    secret = call.plane.secrets.set(id, value.get_secret_value(), call.actor.id, cause=call.cause)
    return SecretView(**asdict(secret))


@operation("secrets.delete", needs="admin", scope=WHOLE)
def secrets_delete(call: Call, id: str) -> None:
    """Delete a secret. Error: not found."""
    call.plane.secrets.delete(id, call.actor.id, cause=call.cause)


@operation("secrets.rotate", needs="admin", scope=WHOLE)
def secrets_rotate(call: Call) -> Rotated:
    """Make a new master key and encrypt every secret with it; older keys stay for older backups."""
    count = call.plane.secrets.rotate(call.actor.id, cause=call.cause)
    return Rotated(secrets=count, key=call.plane.secrets.keyring.current)
