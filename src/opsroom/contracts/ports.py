"""Ports: what connectors implement and areas ask for by kind, without knowing each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something to tell a person or a channel. `key` is the same for every attempt, so a receiver can drop the second; `fields` are for
    machines; `cause` is the event this tells of, and the cause of any secret read to send it."""

    title: str
    body: str
    url: str
    key: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the receiver's side answered when it took the message: its own id or status line."""

    detail: str


class Notifier(Protocol):
    """Delivers by one way."""

    @property
    def kind(self) -> str:
        """The `type` of the NotificationChannels it serves."""
        ...

    def send(self, plane: Plane, channel: Mapping[str, Any], message: Message, recipients: tuple[str, ...]) -> Receipt:
        """Sends to a channel. `channel` is its spec by snake_case names (durations in seconds, secret texts not filled in) and its
        `name`; `recipients` are e-mail addresses, for ways that need them where the channel names none. Returns when the receiver has
        taken the message; raises a UserError, without any secret, that says why it has not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """One outside tool, and the ports it implements."""

    name: str
    promise: str
    notifiers: tuple[Notifier, ...] = ()
