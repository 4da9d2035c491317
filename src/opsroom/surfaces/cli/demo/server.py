"""The server a story runs against: a process of its own, with its state in a folder, that may be killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from opsroom.kernel.errors import Unavailable
from opsroom.kernel.settings import Settings, child_environment

START_SECONDS = 30.0


@dataclass(kw_only=True)
class Server:
    """`opsroom serve` in `folder` on a port; its output goes to `folder/server.log`."""

    folder: Path
    port: int
    repo: str
    example: bool = True
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    serving: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def host_folder(self) -> Path:
        """Where the example's Host keeps its managed files."""
        return self.folder / "host"

    @property
    def token(self) -> str:
        return (self.keys / "admin-token").read_text().strip()

    def start(self) -> None:
        """Unavailable: something else listens on the port; whoever waited for this server would speak with that."""
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", self.port))
            except OSError as error:
                raise Unavailable(
                    f"port {self.port} of 127.0.0.1: {error.strerror}; stop what listens there, or choose another by --port"
                ) from None
        self.serving = self._spawn("server.log", "serve", "--repo", self.repo)

    def wait(self) -> float:
        """Waits until it listens; returns the seconds that took since it was started."""
        import http.client

        began = time.monotonic()
        while time.monotonic() - began < START_SECONDS:
            if self.serving is not None and self.serving.poll() is not None:
                raise Unavailable(f"the server ended with {self.serving.returncode}: {self._last_line('server.log')}")
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            try:
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    return time.monotonic() - began
            except OSError:
                time.sleep(0.02)
            finally:
                connection.close()
        raise Unavailable(f"the server did not listen within {START_SECONDS:.0f} s: {self._last_line('server.log')}")

    def kill(self) -> None:
        """SIGKILL, as a crash would: nothing is tidied up."""
        if self.serving is not None:
            self.serving.kill()
            self.serving.wait()

    def start_traffic(self, test: str, *, environment: str) -> None:
        """Steady traffic by the load test's own requests, from a process of its own that reports what it counted."""
        self.processes.append(self._spawn("traffic.log", "load", test, "--environment", environment))

    def end(self) -> None:
        """Ends the server in order; what it deployed goes on."""
        if self.serving is not None and self.serving.poll() is None:
            self.serving.send_signal(signal.SIGTERM)
            try:
                self.serving.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.serving.kill()

    def stop(self) -> None:
        """Ends the traffic, the server, and everything they left running."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
        self.end()
        subprocess.run([*_opsroom(), "down"], env=self._environment(), stdout=subprocess.DEVNULL, check=False)

    def environment(self) -> Settings:
        """The settings the server runs with, for commands that work on its state."""
        return Settings(state=self.state, keys=self.keys, port=self.port, repo=self.repo)

    def _spawn(self, log: str, *arguments: str) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / log).open("ab") as out:
            return subprocess.Popen(
                [*_opsroom(), *arguments], env=self._environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        own = {
            "OPSROOM_STATE": str(self.state), "OPSROOM_KEYS": str(self.keys), "OPSROOM_PORT": str(self.port),
            "OPSROOM_REPO": self.repo,
        }  # fmt: skip
        # The story is short, so it looks often; its receivers listen on loopback, and the guard must be told that pages may go there.
        story = {"OPSROOM_SCRAPE_SECONDS": "1", "OPSROOM_RULE_SECONDS": "1", "OPSROOM_OUTBOUND_ALLOW": "127.0.0.0/8"}
        return {**child_environment(), **own, **(story if self.example else {})}

    def _last_line(self, log: str) -> str:
        path = self.folder / log
        lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
        return lines[-1][:500] if lines else f"{path} is empty"


def _opsroom() -> list[str]:
    beside = Path(sys.executable).with_name("opsroom")
    return [str(beside)] if os.access(beside, os.X_OK) else [sys.executable, "-m", "opsroom"]
