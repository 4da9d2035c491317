"""Carries acknowledged records from the spool into the telemetry process, in order, again until it has them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from opsroom.kernel.errors import Unavailable, UserError
from opsroom.kernel.journal import Journal
from opsroom.telemetry.client import Client
from opsroom.telemetry.spool import Record, Spool
from opsroom.telemetry.wire import ChildFault

_GATHER_SECONDS = 0.2
_RETRY_SECONDS = 0.5
_TRIES = 5


class Feeder:
    """One thread. Small writes are gathered for a moment, because the store likes few large ones; `flush` does not wait.

    A record that the store cannot take after several tries is put aside in `rejects` and told, so that it blocks nothing.
    """

    def __init__(
        self,
        spool: Spool,
        client: Client,
        wait_up: Callable[[float], None],
        rejects: Path,
        journal: Journal,
        *,
        batch: int,
    ) -> None:
        self._spool, self._client, self._wait_up = spool, client, wait_up
        self._rejects, self._journal, self._batch = rejects, journal, batch
        self._applied = 0
        self._moved = threading.Condition()
        self._hurry = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry-feeder", daemon=True)
        self._lag = ""

    @property
    def lag(self) -> str:
        """Why records wait; "" where none wait longer than they should."""
        return self._lag

    def start(self) -> None:
        """Begins; any number of threads may ask for it at once."""
        with self._moved:
            if not self._thread.is_alive() and not self._closing.is_set():
                self._thread.start()

    def at(self, applied: int) -> None:
        """The store says what it has."""
        with self._moved:
            self._applied = applied
            self._moved.notify_all()
        self._spool.release(applied)

    def flush(self, timeout: float) -> bool:
        """Waits until everything acknowledged up to now is in the store; False when that takes longer."""
        target = self._spool.last
        with self._moved:
            if self._applied >= target:
                return True
            self._hurry.set()
            return self._moved.wait_for(lambda: self._applied >= target or self._closing.is_set(), timeout)

    def close(self) -> None:
        self._closing.set()
        self._hurry.set()
        self._spool.wake()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        tries = 0
        while not self._closing.is_set():
            if not self._spool.wait(self._applied, 1.0):
                continue
            self._hurry.wait(_GATHER_SECONDS)
            self._hurry.clear()
            try:
                self._wait_up(5.0)
                self._send(self._spool.read(self._applied, max_bytes=self._batch if tries < 2 else 1))
                tries, self._lag = 0, ""
            except Unavailable as error:
                self._pause(str(error))
            except (ChildFault, UserError) as error:
                tries += 1
                self._pause(str(error).strip().splitlines()[-1])
                if tries >= _TRIES:
                    self._put_aside(str(error))
                    tries = 0

    def _send(self, records: list[Record]) -> None:
        if not records:
            self.at(self._spool.last)
            return
        header = {
            "op": "apply",
            "spool": self._spool.name,
            "records": [[r.sequence, r.kind, len(r.payload)] for r in records],
        }
        answer, _ = self._client.ask(header, b"".join(r.payload for r in records))
        self.at(answer["applied"])

    def _pause(self, reason: str) -> None:
        self._lag = reason
        self._closing.wait(_RETRY_SECONDS)

    def _put_aside(self, reason: str) -> None:
        """Moves the record at the head out of the way: an empty record takes its place in the store's count."""
        record = self._spool.read(self._applied, max_bytes=1)[0]
        self._rejects.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._rejects / f"{record.sequence}-{record.kind}-{int(time.time())}.rejected"
        path.write_bytes(record.payload)
        self._journal.error("telemetry could not take in a record", path=str(path), reason=reason)
        try:
            self._send([Record(record.sequence, 0, b"")])
        except (Unavailable, ChildFault) as error:
            self._pause(str(error))
