"""Starts runners: detached processes that outlive the server, each holding its folder's lock from before its first instruction.

The order of things makes a kill at any point harmless. A runner reads its standard input to the end and then its order file,
so: the old order is removed, a process born that has the folder's lock, the secrets written, the note `launched.json` made, the new order put in
place, and the input closed. Without the note no order was there and no step can have run: starting again is right. With it, the
folder's events tell what happened. At no point does a runner find an order without having got all its secrets.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from opsroom.workflows.protocol import JobOrder
from opsroom.workflows.run import JobState
from opsroom.workflows.runner.mask_file import NAME as MASKS
from opsroom.workflows.runner.processes import sweep
from opsroom.workflows.scheduler.folders import JobFolder, Launched
from opsroom.workflows.scheduler.nursery import Nursery
from opsroom.workflows.store import RunRecord

LOCK_SECONDS = 10.0
BIRTHS = 3
SecretSource = Callable[[RunRecord, str], Mapping[str, str]]
"""The secrets of a run's job (its key), by name. Called once for each runner that starts."""
MaskKey = Callable[[str], bytes]
"""The key of the mask file of RUN/JOB/ATTEMPT, always the same; empty: what is masked on the way is kept nowhere."""


class Launcher:
    """Starts and stops the processes of jobs below `root`."""

    def __init__(self, root: Path, *, secrets: SecretSource, mask_key: MaskKey, nursery: Nursery) -> None:
        self._root = root
        self._secrets = secrets
        self._mask_key = mask_key
        self._nursery = nursery

    def folder(self, run: str, job: JobState) -> JobFolder:
        return JobFolder(self._root / run / job.key / str(job.attempt))

    def launch(self, record: RunRecord, job: JobState, order: JobOrder) -> None:
        """Starts the runner of this launch, unless it was started before (by a server that died since).

        OSError: this machine has no process, memory or disk for it now.
        """
        folder = self.folder(record.id, job)
        deadline, births = time.monotonic() + LOCK_SECONDS, 0
        while folder.launched().launch < job.launch:
            try:
                with folder.locked() as lock:
                    self._start(folder, lock, record, job, order)
            except BlockingIOError:
                # The runner before this one has said its last word and is about to end.
                if time.monotonic() > deadline:
                    stop_runner(folder, signal.SIGKILL)
                    deadline = time.monotonic() + LOCK_SECONDS
                time.sleep(0.002)
            except ConnectionError:
                births += 1  # Whoever starts runners was killed meanwhile; there is another one at the next call.
                if births == BIRTHS:
                    raise

    def _start(self, folder: JobFolder, lock: int, record: RunRecord, job: JobState, order: JobOrder) -> None:
        order_file, new = folder.path / "order.json", folder.path / "order.json.new"
        order_file.unlink(missing_ok=True)
        new.write_text(json.dumps(asdict(order), ensure_ascii=False))
        key = self._mask_key(f"{record.id}/{job.key}/{job.attempt}")
        given = json.dumps({"secrets": dict(self._secrets(record, job.key)), "mask_key": key.hex()}).encode()
        pid, door = self._nursery.bear(folder.path, lock)
        with door, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # A broken pipe means that it died already: the watch finds that by the note, and the order is never read.
            try:
                door.sendall(given)
            finally:
                folder.set_launched(Launched(launch=job.launch, pid=pid))
            new.replace(order_file)

    def prepare(self) -> None:
        """Gets ready for the first job."""
        self._nursery.prepare()

    def close(self) -> None:
        """Starts nothing more; runners at work go on."""
        self._nursery.close()

    def clear(self, run: str, job: JobState) -> None:
        """Ends what a killed runner may have left of a finished job, and removes its working files; what tells of it stays."""
        sweep(f"{run}/{job.key}/{job.attempt}/")
        folder = self.folder(run, job)
        if job.status != "finished" or not folder.path.is_dir() or folder.alive():
            return
        (folder.path / MASKS).unlink(missing_ok=True)
        for path in folder.path.iterdir():
            if path.is_dir() and not path.is_symlink():
                _remove_tree(path)


def _remove_tree(path: Path) -> None:
    """Removes a folder of a job, which may have taken the right to write from its own folders (Go's module cache does)."""

    def allow(function: Callable[..., object], name: str, _: object) -> None:
        Path(name).parent.chmod(0o700)
        function(name)

    try:
        shutil.rmtree(path, onerror=allow)
    except OSError:
        shutil.rmtree(path, ignore_errors=True)


def stop_runner(folder: JobFolder, number: signal.Signals) -> bool:
    """Sends a signal to the runner that lives here; False when none does. SIGKILL goes to its whole process group."""
    pid = folder.launched().pid
    if not pid or not folder.alive():
        return False
    try:
        if number == signal.SIGKILL:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
