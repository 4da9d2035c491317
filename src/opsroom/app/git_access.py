"""How Git is let in at https:// repositories: by the secret that is named after the host."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from opsroom.kernel.git import Credentials
from opsroom.kernel.secrets import Secrets

KEPT_SECONDS = 3600.0
"""A host's secret is read this often, not at every look at a repository: each reading is an event."""
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def git_credentials(secrets: Secrets, monotonic: Callable[[], float] = time.monotonic) -> Credentials:
    """For `https://git.example.org/…` the secret `GIT_GIT_EXAMPLE_ORG`: `USER:TOKEN`, or a token alone (then the user is `git`).

    Nothing goes over plain http but to this machine, and nothing where there is no such secret."""
    known: dict[str, tuple[float, tuple[str, str] | None]] = {}

    def ask(url: str) -> tuple[str, str] | None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
            return None
        if host not in known or monotonic() - known[host][0] > KEPT_SECONDS:
            known[host] = monotonic(), _read(secrets, host)
        return known[host][1]

    return ask


def secret_name(host: str) -> str:
    """`GIT_` and the host in capitals, everything but letters and digits as `_`."""
    return "GIT_" + re.sub(r"[^A-Z0-9]", "_", host.upper())


def _read(secrets: Secrets, host: str) -> tuple[str, str] | None:
    name = secret_name(host)
    if name not in {secret.name for secret in secrets.all()}:
        return None
    value = secrets.resolve(f"secret:{name}", "system:git", purpose=f"git at {host}")
    user, colon, token = value.partition(":")
    return (user, token) if colon else ("git", value)
