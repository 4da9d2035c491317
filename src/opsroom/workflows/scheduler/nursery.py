"""Where runners come from: a process that has imported the runner once and forks for every job, in a few milliseconds.

A request is one message: the job's folder, with the descriptor of the folder's lock and a socket that becomes the new runner's
standard input. The answer is its process id. Runners are sessions of their own and live on when the nursery or the server dies; a
nursery whose server dies reads the end of its socket and exits.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from pathlib import Path

import opsroom
from opsroom.kernel.settings import child_environment

RUNNER = (str(Path(opsroom.__file__).resolve().parents[1]), "opsroom.workflows.runner.__main__")
"""Where the package is, and the module whose `main([FOLDER])` runs a job."""

_SOURCE = """
import gc, importlib, io, os, signal, socket, sys

def run(folder, lock, door):
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    given = b"".join(iter(lambda: door.recv(1 << 16), b""))
    door.close()
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.chdir(folder)
    os.dup2(os.open("runner.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    sys.stdin = io.TextIOWrapper(io.BytesIO(given))
    return main([folder.decode()])

sys.path.insert(0, sys.argv[1])
main = importlib.import_module(sys.argv[2]).main
requests = socket.socket(fileno=os.dup(0))
os.dup2(os.open(os.devnull, os.O_RDWR), 0)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
gc.freeze()
while True:
    folder, (*descriptors,), _, _ = socket.recv_fds(requests, 1 << 16, 2)
    if not folder:
        sys.exit(0)
    child = os.fork()
    if child == 0:
        code = 70
        try:
            requests.close()
            code = run(folder, descriptors[0], socket.socket(fileno=descriptors[1]))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(code or 0)
    for descriptor in descriptors:
        os.close(descriptor)
    requests.send(str(child).encode())
"""


class Nursery:
    """Starts runners; the process behind it is started when first needed, and again when it has died."""

    def __init__(self, runner: tuple[str, str] = RUNNER) -> None:
        self._runner = runner
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None

    def prepare(self) -> None:
        """Starts the process, so that the first job need not wait for it."""
        with self._lock:
            self._alive()

    def bear(self, folder: Path, lock: int) -> tuple[int, socket.socket]:
        """A new runner's process id, and the socket that is its standard input: it begins when that is closed.

        OSError: it could not be started, or the answer was lost and it was. The latter finds its input ended, no order, and ends;
        until then it holds the lock, so whoever tries again must take that anew.
        """
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            try:
                return self._ask(folder, [lock, theirs.fileno()]), ours
            except OSError:
                ours.close()
                self._end()
                raise

    def close(self) -> None:
        """Ends the process; runners go on."""
        with self._lock:
            self._end()

    def _ask(self, folder: Path, descriptors: list[int]) -> int:
        requests = self._alive()
        socket.send_fds(requests, [str(folder).encode()], descriptors)
        answer = requests.recv(64)
        if not answer:
            raise BrokenPipeError("the process that starts runners has died")
        return int(answer)

    def _alive(self) -> socket.socket:
        if self._requests is None or self._process is None or self._process.poll() is not None:
            self._end()
            self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _SOURCE, *self._runner], stdin=theirs.fileno(), stdout=subprocess.DEVNULL,
                    cwd="/", env=child_environment(), start_new_session=True,
                )  # fmt: skip
        return self._requests

    def _end(self) -> None:
        if self._requests is not None:
            self._requests.close()
            self._requests = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(2)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._process = None
