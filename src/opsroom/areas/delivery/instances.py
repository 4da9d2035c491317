"""The processes of a deployment: started once each whatever was cut off, awaited until healthy, drained, ended."""

from __future__ import annotations

import http.client
import random
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opsroom.areas.delivery import deployment_store as rows
from opsroom.areas.delivery import restarts
from opsroom.areas.delivery.model import Deployment, Instance, ServiceSpec
from opsroom.areas.delivery.processes import Process, find, probe, start
from opsroom.areas.delivery.proxy import Proxy
from opsroom.areas.delivery.releases import unpack
from opsroom.kernel.errors import Conflict, Invalid
from opsroom.kernel.settings import child_environment

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane

LOG_LIMIT = 256_000_000
HEALTH_PAUSE = 0.03
SETTLE_SECONDS = 0.05
"""Between a switch and the count of requests in flight: one that had read the old address is on its way by then."""
FIRST_PORT = 20_000

Cancelled = Callable[[], bool]


class Instances:
    """Starts and ends the processes of deployments, and keeps their rows."""

    def __init__(self, plane: Plane, proxy: Proxy) -> None:
        self._plane = plane
        self._proxy = proxy
        self._folder = plane.settings.state.absolute()

    def ensure(self, deployment: Deployment, number: int) -> Instance:
        """The process with this number, started unless it runs. Invalid: it cannot be started."""
        with self._plane.store.read() as tx:
            known = next((one for one in rows.instances(tx, deployment=deployment.id) if one.number == number), None)
        instance = known or self._add(deployment, number)
        self._ensure_process(deployment, instance)
        return instance

    def await_health(self, instance: Instance, spec: ServiceSpec, cancelled: Cancelled = lambda: False) -> float:
        """The seconds until it answered 200. Invalid: it ended, or was not healthy in time; Conflict: it was cancelled."""
        began = time.monotonic()
        last = "no answer"
        while time.monotonic() - began < spec.health_timeout:
            if not self.alive(instance):
                raise Invalid(f"{instance.service} ended before it was healthy: {self.last_line(instance)}")
            last = _health(instance.port, spec.health_path)
            if last == "200":
                return time.monotonic() - began
            if cancelled():
                raise Conflict(f"the deployment of {instance.service} was cancelled before it was healthy")
            time.sleep(HEALTH_PAUSE)
        raise Invalid(
            f"{instance.service} was not healthy within {spec.health_timeout:.0f} s: {spec.health_path} gave {last}; "
            f"its log ends: {self.last_line(instance)}"
        )

    def alive(self, instance: Instance) -> bool:
        process = Process.read(self._pid_file(instance))
        return process is not None and probe(process)

    def restart(self, deployment: Deployment, instance: Instance) -> None:
        """Starts the process again on its port, and tells it: `service.restarted`. Cut off anywhere, `tell_untold` tells it."""
        pid_file = self._pid_file(instance)
        note = restarts.begin(pid_file, instance, self.last_line(instance))
        pid_file.unlink(missing_ok=True)
        self._ensure_process(deployment, instance)
        restarts.tell(self._plane, deployment, instance, note, pid_file)

    def tell_untold(self, instances: list[Instance]) -> None:
        """Tells the restarts of these instances that a server which died had made and not told."""
        for instance in instances:
            pid_file = self._pid_file(instance)
            # The server may have died before it could write whom it started.
            if restarts.note_of(pid_file).exists() and not pid_file.exists() and (found := find(_marker(instance))):
                found.write(pid_file)
        for instance, note, pid_file in restarts.untold(self._folder / "instances", instances):
            with self._plane.store.read() as tx:
                deployment = rows.get(tx, instance.deployment)
            if deployment is not None:
                restarts.tell(self._plane, deployment, instance, note, pid_file)

    def drain(self, instance: Instance, *, seconds: float) -> None:
        """Waits for requests on their way, asks the process to end, and ends it when it has not after `seconds`."""
        with self._plane.store.begin() as tx:
            rows.change_instance(tx, instance.id, state="draining")
        ends = time.monotonic() + seconds
        if self.alive(instance) and self._proxy.running():
            time.sleep(SETTLE_SECONDS)
            while self._proxy.in_flight(instance.address) and time.monotonic() < ends:
                time.sleep(0.02)
        process = Process.read(self._pid_file(instance)) or find(_marker(instance))
        if process is not None and not process.terminate(within=max(1.0, ends - time.monotonic())):
            self._plane.journal.warning("a process had to be killed", instance=instance.id, service=instance.service)
        with self._plane.store.begin() as tx:
            rows.change_instance(tx, instance.id, state="stopped")
        self._pid_file(instance).unlink(missing_ok=True)
        restarts.note_of(self._pid_file(instance)).unlink(missing_ok=True)

    def serving(self, instances: Sequence[Instance]) -> None:
        with self._plane.store.begin() as tx:
            for instance in instances:
                rows.change_instance(tx, instance.id, state="serving")

    def last_line(self, instance: Instance) -> str:
        """The end of its log, redacted, for messages."""
        return self._plane.secrets.redact(_last_line(Path(instance.log)))

    def trim(self, instance: Instance) -> None:
        """Empties a log over its limit; writers append, so no line is torn. The collector reads every second and is far ahead of it."""
        log = Path(instance.log)
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.write_bytes(b"")

    def _add(self, deployment: Deployment, number: int) -> Instance:
        folder = self._folder / "logs" / deployment.environment / deployment.service
        instance = Instance(
            id=self._plane.clock.new_id("ins"), deployment=deployment.id, service=deployment.service,
            environment=deployment.environment, number=number, port=_free_port(), state="starting", restarts=0,
            started=self._plane.clock.now(), log=str(folder / f"{deployment.id}.{number}.log"),
        )  # fmt: skip
        with self._plane.store.begin() as tx:
            rows.add_instance(tx, instance)
        return instance

    def _ensure_process(self, deployment: Deployment, instance: Instance) -> None:
        pid_file = self._pid_file(instance)
        process = Process.read(pid_file) or find(_marker(instance))
        pid_file.parent.mkdir(parents=True, exist_ok=True)
        if process is not None and probe(process):
            process.write(pid_file)
            return
        spec = rows.spec_of(deployment)
        start(
            _with_python(spec.command), folder=unpack(self._plane, deployment.digest),
            environment=self._environment(deployment, instance, spec), log=Path(instance.log), pid_file=pid_file,
        )  # fmt: skip

    def _environment(self, deployment: Deployment, instance: Instance, spec: ServiceSpec) -> dict[str, str]:
        data = self._folder / "data" / deployment.environment / deployment.service
        data.mkdir(parents=True, exist_ok=True)
        fill = self._plane.secrets.fill
        own = {
            name: fill(value, deployment.actor, deployment.started_event, purpose=f"env of {deployment.service}")
            for name, value in spec.env.items()
        }
        given = {
            "PORT": str(instance.port), "SERVICE": deployment.service, "ENVIRONMENT": deployment.environment,
            "VERSION": deployment.version, "DEPLOYMENT": deployment.id, "INSTANCE": str(instance.number),
            "DATA_DIR": str(data), "OPSROOM_INSTANCE": instance.id,
        }  # fmt: skip
        return {"PYTHONUNBUFFERED": "1", **child_environment(), **own, **given}

    def _pid_file(self, instance: Instance) -> Path:
        return self._folder / "instances" / f"{instance.id}.json"


def _marker(instance: Instance) -> str:
    return f"OPSROOM_INSTANCE={instance.id}"


def _health(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return str(connection.getresponse().status)
    except OSError as error:
        return str(error.strerror or type(error).__name__)
    except http.client.HTTPException as error:
        return f"no HTTP answer ({type(error).__name__})"
    finally:
        connection.close()


def _free_port() -> int:
    """A free port below those that the kernel gives to outgoing connections, which could take it before the service does."""
    for port in random.sample(range(FIRST_PORT, _first_ephemeral()), 100):
        if _is_free(port):
            return port
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return int(any_port.getsockname()[1])


def _first_ephemeral() -> int:
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first = 32_768
    return max(first, FIRST_PORT + 1000)


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _with_python(command: Sequence[str]) -> list[str]:
    """`python` and `python3` mean the interpreter Opsroom runs on, so that a service needs no other."""
    return [sys.executable if command[0] in {"python", "python3"} else command[0], *command[1:]]


def _last_line(log: Path) -> str:
    if not log.exists():
        return "(nothing)"
    with log.open("rb") as source:
        source.seek(max(0, log.stat().st_size - 2000))
        lines = source.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "(nothing)"
