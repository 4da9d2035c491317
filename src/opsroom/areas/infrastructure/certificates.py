"""Certificates of the addresses Opsroom speaks TLS with: which those are, and a look at each."""

from __future__ import annotations

import socket
import ssl
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opsroom.areas.infrastructure import store as rows
from opsroom.areas.infrastructure.store import Certificate
from opsroom.contracts.repositories import repositories
from opsroom.kernel.errors import UserError

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane

SECONDS = 5.0
LOOK_EVERY = timedelta(hours=6)


def endpoints(plane: Plane) -> dict[str, list[str]]:
    """`host:port` of every TLS address the ops repo and the settings name, with what stands still without it. An address that only a
    secret holds is not among them."""
    found: dict[str, list[str]] = {}
    for name, url in repositories(plane).items():
        _add(found, url, f"pushes to {name} are no longer seen")
    for resource in plane.catalogs.current().all("NotificationChannel"):
        spec, lost = resource.spec, f"nobody is told by the channel {resource.name}"
        if getattr(spec, "type", "") == "smtp":
            if getattr(spec, "security", "") == "tls" and spec.server:
                found.setdefault(spec.server, []).append(lost)
        else:
            _add(found, str(getattr(spec, "url", "") or ""), lost)
    _add(found, plane.settings.base_url, "people and programs reach Opsroom no longer")
    return dict(sorted(found.items()))


def look(plane: Plane) -> None:
    """Looks at every address that was not looked at for six hours; one that cannot be reached is kept as unknown, with the reason."""
    with plane.store.read() as tx:
        known = rows.certificates(tx)
    now = plane.clock.now()
    for address in endpoints(plane):
        seen = known.get(address)
        if seen is None or now - seen.checked >= LOOK_EVERY:
            certificate = read_certificate(plane, address)
            with plane.store.begin() as tx:
                rows.keep_certificate(tx, certificate)


def read_certificate(plane: Plane, address: str) -> Certificate:
    """The certificate that an address shows. It is read, not trusted: one that does not verify has an end all the same."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    expires: datetime | None = None
    begins: datetime | None = None
    issuer = error = ""
    try:
        issuer, begins, expires = _dates(_shown(plane.outbound.address(host, int(port)), int(port), host))
    except UserError as refused:
        error = str(refused)
    except (OSError, ValueError) as failed:
        error = f"{address} cannot be asked: {str(failed) or type(failed).__name__}"
    return Certificate(
        address=address, expires=expires, begins=begins, issuer=issuer, checked=plane.clock.now(), error=error
    )


def _shown(ip: str, port: int, name: str) -> bytes:
    """The certificate in DER."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # Nothing is sent: only the date on the certificate is wanted.
    with (
        socket.create_connection((ip, port), timeout=SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
    ):
        shown = tls.getpeercert(binary_form=True)
    if not shown:
        raise ValueError("it showed no certificate")
    return shown


def _dates(der: bytes) -> tuple[str, datetime, datetime]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    certificate = x509.load_der_x509_certificate(der)
    names = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return (str(names[0].value) if names else "", certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _add(found: dict[str, list[str]], url: str, lost: str) -> None:
    if "${{" in url.partition("://")[2].partition("/")[0]:
        return
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        return
    if parts.scheme == "https" and host:
        found.setdefault(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", []).append(lost)
