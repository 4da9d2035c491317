"""`python -m opsroom.telemetry.child --state DIR --socket PATH`: started by the supervisor, never by hand."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

from opsroom.telemetry.child.memory import cap
from opsroom.telemetry.limits import Limits

_LOCK_SECONDS = 10.0


def main(arguments: list[str]) -> int:
    """Runs until it is told to stop or nobody wants it. 3: another process holds the folder."""
    parser = argparse.ArgumentParser(prog="opsroom.telemetry.child")
    parser.add_argument("--state", type=Path, required=True, help="folder of the tables; belongs to this process alone")
    parser.add_argument("--socket", type=Path, required=True, help="Unix socket to listen on")
    parser.add_argument("--limits", default="{}", help="the limits, as JSON")
    parser.add_argument("--durable", action="store_true", help="fsync what is written")
    given = parser.parse_args(arguments)
    limits = Limits(**json.loads(given.limits))
    given.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not _take(given.state / "lock"):
        print(f"another process holds {given.state}", file=sys.stderr)
        return 3
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's ^C is for the server, which then stops us
    cap(limits.memory)

    from opsroom.telemetry.child.database import Database
    from opsroom.telemetry.child.server import Server

    database = Database(given.state / "tables", limits, durable=given.durable)
    server = Server(database, given.state, limits, durable=given.durable)
    server.serve(_listen(given.socket))
    given.socket.unlink(missing_ok=True)
    return 0


def _take(path: Path) -> bool:
    """Holds the folder for the life of the process; waits for a predecessor that is leaving."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)


def _listen(path: Path) -> socket.socket:
    """A socket that only this user can reach; it appears under its name when it already listens."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        listener.bind(str(beside))
    finally:
        os.umask(mask)
    listener.listen(32)
    beside.replace(path)
    return listener


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
