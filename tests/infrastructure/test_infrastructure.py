"""Inventory, tools and expiries through the operations, and what of them is told."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opsroom.areas.infrastructure import operations as o
from opsroom.areas.infrastructure.certificates import endpoints, read_certificate
from opsroom.areas.infrastructure.facts import expiring_before
from opsroom.areas.infrastructure.jobs import on_catalog
from opsroom.areas.infrastructure.machine import read_machine
from opsroom.areas.infrastructure.model import Ending, changes
from opsroom.areas.infrastructure.observing import observe, tell_endings
from opsroom.contracts.facts import ExpiringBefore
from opsroom.contracts.plane import Call, Plane
from opsroom.kernel.actors import Actor
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.ledger import Event
from opsroom.kernel.outbound import Outbound
from opsroom.kernel.resources import Kind, Spec, load_catalog
from opsroom.telemetry.port import Health


class ChannelSpec(Spec):
    type: str
    url: str = ""
    server: str = ""
    security: str = ""


CHANNEL = Kind(name="NotificationChannel", api_version="opsroom.dev/v1", model=ChannelSpec, secrets=("url",))
CHANNELS = """apiVersion: opsroom.dev/v1
kind: NotificationChannel
metadata: {name: pager}
spec: {type: webhook, url: "https://pager.example.com/hooks/${{ secrets.PAGER }}"}
---
apiVersion: opsroom.dev/v1
kind: NotificationChannel
metadata: {name: hidden}
spec: {type: webhook, url: "https://${{ secrets.WHOLE }}/x"}
---
apiVersion: opsroom.dev/v1
kind: NotificationChannel
metadata: {name: mail}
spec: {type: smtp, server: "mail.example.com:465", security: tls}
---
apiVersion: opsroom.dev/v1
kind: NotificationChannel
metadata: {name: pigeon}
spec: {type: pigeon}
"""


def call(plane: Plane) -> Call:
    return Call(plane=plane, actor=Actor.system("test"))


def catalog(plane: Plane, text: str = "") -> Event:
    """An ops repo that came into force by a push."""
    loaded, problems = load_catalog({"c.yaml": text} if text else {}, "c0", [CHANNEL])
    assert plane.catalogs.offer("c0", loaded, problems), problems
    with plane.store.begin() as tx:
        push = plane.ledger.record(tx, "change.pushed", actor="person:maria")
        return plane.ledger.record(tx, "catalog.changed", actor="system:catalog", cause=push.id)


def events(plane: Plane, type: str) -> list[Event]:
    return plane.ledger.find(types=(type,), newest_first=False)


def test_the_machine_is_as_its_kernel_says(plane: Plane) -> None:
    (host,) = o.list_hosts(call(plane))
    assert host.name == socket.gethostname() and host.cpus >= 1 and host.memory_bytes
    assert host.disks[0].total_bytes > host.disks[0].free_bytes > 0 and host.started


def test_a_machine_that_tells_nothing_is_unknown_not_nought(tmp_path: Path) -> None:
    machine = read_machine((tmp_path / "not" / "there",), proc=tmp_path)
    assert machine.memory_bytes is None and machine.started is None and len(machine.disks) == 1


def test_the_machine_and_its_runner_are_told_once_and_again_when_it_changes(plane: Plane) -> None:
    observe(plane)
    assert not events(plane, "inventory.observed"), "before the first ops repo nothing is told"
    cause = catalog(plane)
    for _ in range(2):
        on_catalog(plane, cause)
        observe(plane)
    (first,) = events(plane, "inventory.observed")
    (runner,) = events(plane, "runner.registered")
    assert first.data["changed"] == "seen for the first time" and runner.data["slots"] == 2
    for event in (first, runner):
        assert plane.ledger.chain(event.id)[-1].type == "change.pushed"
    with plane.store.begin() as tx:
        tx.execute('UPDATE inventory SET facts = replace(facts, \'"git":"\', \'"git":"0.\')')
    observe(plane)
    assert "git is now" in events(plane, "inventory.observed")[-1].data["changed"]
    assert o.list_hosts(call(plane))[0].event == events(plane, "inventory.observed")[-1].id


def test_changes_are_words() -> None:
    assert changes({"a": "1", "b": "2"}, {"a": "2", "c": "3"}) == ["a is now 2, was 1", "c is new: 3", "b is gone"]


def test_runners_say_their_slots_and_sandbox(plane: Plane) -> None:
    (runner,) = o.list_runners(call(plane))
    assert runner.slots == 2 and runner.busy == 0 and runner.jobs == []
    assert runner.sandboxed or runner.sandbox


def test_tools_tell_versions_faults_and_no_secret(plane: Plane, telemetry: Any) -> None:
    catalog(plane, CHANNELS)
    plane.secrets.set("PAGER", "s3cret-of-the-pager", "person:maria")
    telemetry.now = Health(state="down", reason="it was killed; it starts again in 4 s")
    found = {(one.kind, one.name): one for one in o.list_tools(call(plane))}
    assert found["program", "git"].version[:1].isdigit()
    assert found["database", "sqlite"].version[:1].isdigit()
    assert found["telemetry", "chdb"].state == "failed" and "killed" in found["telemetry", "chdb"].detail
    assert found["channel", "pager"].detail == "webhook to pager.example.com"
    assert "secret" in found["channel", "hidden"].detail
    assert found["channel", "pigeon"].state == "failed"
    assert found["channel", "mail"].place.startswith("c.yaml:")


def test_what_ends_is_listed_with_what_breaks(plane: Plane, clock: FakeClock) -> None:
    catalog(plane, CHANNELS)
    plane.actors.tokens.create("person:admin", "laptop", Actor.system("test"), days=10)
    plane.waivers.grant(
        "finding-ignored", ["service=storefront"], owner="group:shop", reason="no fix yet", actor="person:maria",
        expires=clock.now() + timedelta(days=60),
    )  # fmt: skip
    plane.secrets.set("PAGER", "s3cret-of-the-pager", "person:maria")
    found = o.list_expiries(call(plane))
    states = {(one.kind, one.name): one.state for one in found}
    assert states["token", "laptop"] == "near" and states["token", "first start"] == "no end"
    assert states["waiver", 'finding-ignored of service="storefront"'] == "ok"
    assert states["certificate", "pager.example.com:443"] == "unknown" and states["secret", "PAGER"] == "no end"
    assert found[0].name == "laptop" and "laptop" in found[0].breaks[0]
    assert {one.kind for one in found} >= {"key"}
    assert [one.name for one in o.list_expiries(call(plane), within_days=30)] == ["laptop"]
    answer = expiring_before(plane, ExpiringBefore(clock.now() + timedelta(days=30)))
    assert answer.value is not None and [one.name for one in answer.value] == ["laptop"]


def test_an_end_is_told_of_at_each_threshold_once(plane: Plane, clock: FakeClock) -> None:
    plane.actors.tokens.create("person:admin", "laptop", Actor.system("test"), days=90)
    told: list[int] = []
    for _ in range(92):
        tell_endings(plane)
        tell_endings(plane)
        told = [event.data["days"] for event in events(plane, "expiry.near")]
        clock.advance(timedelta(days=1))
    assert told == [30, 14, 7, 1]
    event = events(plane, "expiry.near")[0]
    assert plane.ledger.get(event.cause).type == "token.created" and "laptop" in event.data["breaks"]


def test_a_thing_made_for_a_day_is_not_told_of(plane: Plane, clock: FakeClock) -> None:
    now = clock.now()
    short = Ending(kind="waiver", id="w", name="w", owner="", since=now, expires=now + timedelta(hours=20), breaks=())
    assert short.threshold(now) is None
    assert Ending(kind="x", id="x", name="x", owner="", since=None, expires=now, breaks=()).state(now) == "over"


def test_addresses_with_certificates_are_those_the_ops_repo_names(plane: Plane) -> None:
    catalog(plane, CHANNELS)
    assert list(endpoints(plane)) == ["mail.example.com:465", "pager.example.com:443"]


def test_a_certificate_is_read_and_an_address_that_is_away_is_unknown(plane: Plane, tls: tuple[int, datetime]) -> None:
    port, expires = tls
    plane.outbound = Outbound(allow="127.0.0.0/8")
    read = read_certificate(plane, f"127.0.0.1:{port}")
    assert read.expires == expires and read.error == ""
    away = read_certificate(plane, "127.0.0.1:1")
    assert away.expires is None and "cannot be asked" in away.error
    plane.outbound = Outbound()
    assert "internal address" in read_certificate(plane, f"127.0.0.1:{port}").error


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[int, datetime]]:
    """A TLS server with a certificate of its own; gives its port and when the certificate ends."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=5)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(expires - timedelta(days=9)).not_valid_after(expires).sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = tmp_path / "both.pem"
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_answer, args=(listening, context), daemon=True).start()
        yield listening.getsockname()[1], expires


def _answer(listening: socket.socket, context: ssl.SSLContext) -> None:
    try:
        connection, _ = listening.accept()
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)
    except OSError:
        return
