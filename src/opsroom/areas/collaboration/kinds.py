"""The kind NotificationChannel: one way to tell people something."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from opsroom.kernel.errors import Problem
from opsroom.kernel.resources import Address, Catalog, Duration, Kind, Resource, SecretText, Spec

_EMAIL = r"[^@\s,;<>]+@[^@\s,;<>]+"


class ChannelSpec(Spec):
    """A webhook or a mail server; which fields are needed depends on `type`."""

    type: Literal["webhook", "smtp"]
    url: SecretText = ""
    signing_key: SecretText = ""
    server: Address | None = None
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: SecretText = ""
    password: SecretText = ""
    sender: Annotated[str, Field(pattern=rf"^({_EMAIL})?$")] = ""
    to: tuple[Annotated[str, Field(pattern=rf"^{_EMAIL}$")], ...] = ()
    timeout: Duration = Field(default=10.0, gt=0)
    events: tuple[str, ...] = ()


TOLD = "notification.sent"
_NEEDED = {"webhook": ("url",), "smtp": ("server", "sender")}
_ONLY = {
    "webhook": ("url", "signingKey"),
    "smtp": ("server", "security", "username", "password", "sender", "to"),
}


def _check(resource: Resource, catalog: Catalog) -> Iterable[Problem]:
    spec: ChannelSpec = resource.spec
    for name in _NEEDED[spec.type]:
        if not getattr(spec, name):
            yield Problem(resource.place_of("type"), f"a channel of type {spec.type} needs `{name}`", f"add `{name}:`")
    for other, names in _ONLY.items():
        for name in names:
            if other != spec.type and isinstance(resource.raw, dict) and name in resource.raw:
                yield Problem(resource.place_of(name), f"`{name}` goes with type {other}", "leave it out")
    if spec.url and "${{" not in spec.url and not spec.url.startswith(("http://", "https://")):
        yield Problem(
            resource.place_of("url"), f"url {spec.url!r} is not http:// or https://", "write https://host/path"
        )
    if TOLD in spec.events:
        yield Problem(
            resource.place_of("events"), f"a channel told of {TOLD} would be told without end", f"leave out {TOLD}"
        )


CHANNEL = Kind(
    name="NotificationChannel",
    api_version="opsroom.dev/v1",
    model=ChannelSpec,
    area="collaboration",
    events=("events[]",),
    secrets=("url", "signingKey", "username", "password"),
    check=_check,
)
