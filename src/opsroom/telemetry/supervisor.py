"""Keeps the telemetry process running: starts it, takes over one that a former server left, starts it again when it dies."""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import opsroom
from opsroom.kernel.errors import Unavailable
from opsroom.kernel.journal import Journal
from opsroom.kernel.settings import child_environment
from opsroom.telemetry import wire
from opsroom.telemetry.limits import Limits

_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_WATCH_SECONDS = 2.0
_ASK_SECONDS = 15.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 15.0
_SETTLED_SECONDS = 10.0
_RESIDENT_FACTOR = 2.0
_SOCKET_PATH_LIMIT = 100


class Supervisor:
    """One telemetry process for one folder. `on_up(applied, ids)` is told at every (re)connection, before anyone may ask.

    Nothing runs until `start`. The process ends itself some seconds after its last connection, so a killed server's
    successor finds it running.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        journal: Journal,
        *,
        spool: str,
        durable: bool,
        on_up: Callable[[int, bytes], None],
    ) -> None:
        self._folder, self._limits, self._journal = folder, limits, journal
        self._spool, self._durable, self._on_up = spool, durable, on_up
        self.socket_path = socket_path(folder)
        self._state: str = "idle"
        self._reason = "not needed yet"
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._stopping = False
        self._control: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self.pid = 0
        self.restarts = -1

    @property
    def state(self) -> tuple[str, str]:
        """(idle, starting, up or down; the reason and what happens next)."""
        return self._state, self._reason

    def start(self) -> None:
        """Starts supervising, once; returns at once."""
        with self._changed:
            if self._thread is None and not self._closing.is_set():
                self._set("starting", "telemetry is starting")
                self._thread = threading.Thread(target=self._run, name="telemetry-supervisor", daemon=True)
                self._thread.start()

    def wait_up(self, timeout: float) -> None:
        """Returns when the process answers; Unavailable with the reason when it does not within the time."""
        self.start()
        with self._changed:
            if not self._changed.wait_for(lambda: self._state in {"up", "down"}, timeout) or self._state != "up":
                raise Unavailable(f"telemetry does not answer: {self._reason}")

    def connect(self) -> socket.socket:
        """A new connection. Raises wire.Closed where nobody listens."""
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(str(self.socket_path))
        except OSError as error:
            sock.close()
            raise wire.Closed(f"nobody listens at {self.socket_path}: {error.strerror}") from error
        return sock

    def close(self, *, stop: bool) -> None:
        """Ends supervision; `stop` ends the process too, otherwise it lingers for a successor."""
        self._stopping = stop
        self._closing.set()
        if stop and self._state == "up":
            try:
                with self.connect() as sock:
                    _ask(sock, {"op": "stop"})
            except (wire.Closed, Unavailable):
                pass  # it is gone already
        self._let_go()
        if self._thread is not None:
            self._thread.join(timeout=_STOP_SECONDS + 5)

    def _let_go(self) -> None:
        """Wakes the watching thread, which waits on its connection."""
        control = self._control
        if control is not None:
            try:
                control.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended already

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._closing.is_set():
            began = time.monotonic()
            process, reason = None, ""
            try:
                control, process = self._obtain()
                self._control = control
                with control:
                    reason = self._watch(control, process)
            except (wire.Closed, wire.ChildFault, Unavailable, OSError) as error:
                reason = str(error)
            reason = self._ended(process, reason)
            if self._closing.is_set():
                return
            pause = _FIRST_PAUSE if time.monotonic() - began > _SETTLED_SECONDS else min(pause * 2, _LONGEST_PAUSE)
            self._set("down", f"{reason}; starting again in {pause:g} s")
            self._journal.error("the telemetry process ended", reason=reason, pause=pause)
            self._closing.wait(pause)

    def _obtain(self) -> tuple[socket.socket, subprocess.Popen[bytes] | None]:
        """A control connection to a process that is already there, or to a new one."""
        try:
            return self.connect(), None
        except wire.Closed:
            process = self._spawn()
        until = time.monotonic() + _START_SECONDS
        while not self._closing.is_set():
            try:
                return self.connect(), process
            except wire.Closed:
                if process.poll() is not None:
                    raise Unavailable(self._ended(process, "it did not start")) from None
                if time.monotonic() > until:
                    process.kill()
                    raise Unavailable(f"it did not listen within {_START_SECONDS:g} s") from None
                self._closing.wait(0.02)
        raise Unavailable("the server is stopping")

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.restarts += 1
        command = [sys.executable, "-m", "opsroom.telemetry.child", "--state", str(self._folder.absolute())]
        command += ["--socket", str(self.socket_path), "--limits", json.dumps(asdict(self._limits))]
        environment = child_environment() | {
            "PYTHONPATH": str(Path(opsroom.__file__).parent.parent),
            "OPENBLAS_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
        }
        with self._log_path.open("wb") as log:
            return subprocess.Popen(
                command + (["--durable"] if self._durable else []),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self._folder,
                start_new_session=True,
            )

    def _watch(self, control: socket.socket, process: subprocess.Popen[bytes] | None) -> str:
        """Greets, tells that it is up, and holds the connection until it breaks; returns why it did."""
        self.pid = _peer(control)
        try:
            about, ids = _ask(control, {"op": "hello", "spool": self._spool})
        except Unavailable as error:
            return self._stopped_hard(str(error))
        if (about["version"], about["limits"], about["durable"]) != (wire.VERSION, asdict(self._limits), self._durable):
            _ask(control, {"op": "stop"})
            return "the running process had other settings or another version and was told to stop"
        self._on_up(about["applied"], bytes(ids))
        self._set("up", "")
        asked = time.monotonic()
        while not self._closing.is_set():
            if select.select([control], [], [], _WATCH_SECONDS)[0]:
                return "the connection ended"
            if process is not None:
                process.poll()
            if (resident := resident_bytes(self.pid)) > self._limits.memory * _RESIDENT_FACTOR:
                return self._stopped_hard(f"it held {resident:,} bytes, over twice its cap of {self._limits.memory:,}")
            if time.monotonic() - asked > _ASK_SECONDS:
                try:
                    _ask(control, {"op": "ping"})
                except Unavailable as error:
                    return self._stopped_hard(str(error))
                asked = time.monotonic()
        return "the server is stopping"

    def _stopped_hard(self, reason: str) -> str:
        """Ends a process that cannot be asked to end; the socket is ours alone, so its other end is ours to end."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it ended by itself
        return f"{reason}, and it was stopped"

    def _ended(self, process: subprocess.Popen[bytes] | None, reason: str) -> str:
        """Adds what is known of the end: the exit status and the last line it wrote."""
        if process is None:
            return reason
        try:
            status = process.wait(timeout=_STOP_SECONDS if self._stopping or not self._closing.is_set() else 0)
        except subprocess.TimeoutExpired:
            return reason
        lines = self._log_path.read_text(errors="replace").strip().splitlines()
        how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        return f"{reason} ({how}{': ' + lines[-1][:300] if lines else ''})"

    @property
    def _log_path(self) -> Path:
        return self._folder / "process.log"

    def _set(self, state: str, reason: str) -> None:
        with self._changed:
            self._state, self._reason = state, reason
            self._changed.notify_all()


def _ask(sock: socket.socket, header: dict[str, Any]) -> tuple[dict[str, Any], bytearray]:
    sock.settimeout(_START_SECONDS)
    try:
        wire.send(sock, header)
        answer, body = wire.receive(sock)
    except TimeoutError as error:
        raise Unavailable(f"the telemetry process did not answer {header['op']} in time") from error
    wire.raise_error(answer)
    return answer, body


def _peer(sock: socket.socket) -> int:
    """The id of the process at the other end (unix(7), SO_PEERCRED)."""
    pid, _, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(pid)


def socket_path(folder: Path) -> Path:
    """Beside the tables; in a private folder of the system's temporary one where that path is too long for a socket."""
    path = folder.absolute() / "telemetry.sock"
    if len(os.fsencode(path)) < _SOCKET_PATH_LIMIT:
        return path
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    private = Path(tempfile.gettempdir()) / f"opsroom-{os.getuid()}"
    private.mkdir(mode=0o700, exist_ok=True)
    status = private.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise Unavailable(f"{private} belongs to somebody else or is open to others; remove it or set TMPDIR")
    return private / f"{name}.sock"


def resident_bytes(pid: int) -> int:
    """The resident set of a process; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
