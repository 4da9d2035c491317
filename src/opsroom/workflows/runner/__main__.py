"""The detached runner process of one job: `python -m opsroom.workflows.runner FOLDER`, secrets as JSON on standard input."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from opsroom.kernel.errors import Invalid, UserError
from opsroom.workflows.runner.cancellation import Cancellation
from opsroom.workflows.runner.folder import FolderSink, lock, read_order, taken_up, write_pid
from opsroom.workflows.runner.job import JobRunner
from opsroom.workflows.runner.processes import sweep
from opsroom.workflows.runner.step_files import SpareFiles


def main(arguments: list[str]) -> int:
    """Runs the job in the folder; 0 once it has said its last word, whatever the job's conclusion."""
    if len(arguments) != 1:
        print(
            'usage: python -m opsroom.workflows.runner FOLDER, with {"secrets": {…}, "mask_key": "…"} on standard input',
            file=sys.stderr,
        )
        return 2
    cancellation = Cancellation()
    signal.signal(signal.SIGTERM, lambda *_: cancellation.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    SpareFiles.ready()
    try:
        run(Path(arguments[0]), sys.stdin.buffer.read(), cancellation)
    except UserError as error:
        print(f"opsroom runner: {error}", file=sys.stderr)
        return 1
    return 0


def run(folder: Path, given: bytes, cancellation: Cancellation) -> None:
    """Takes up the job where it stands. A job that has finished already is left as it is."""
    secrets, mask_key = _given(given)
    lock(folder)
    write_pid(folder)
    order = read_order(folder)
    sink = FolderSink(folder)
    if any(event.type == "job.finished" for event in sink.before):
        return
    for event in sink.before:
        if event.type == "job.started":
            sweep(f"{order.run}/{order.job}/{order.attempt}/{event.data['pid']}:")
    runner = JobRunner(
        taken_up(order, sink.before), folder, sink, secrets, cancellation=cancellation, mask_key=mask_key
    )
    runner.run()
    sweep(f"{order.run}/{order.job}/{order.attempt}/{os.getpid()}:")
    sink.close()


def _given(given: bytes) -> tuple[Mapping[str, str], bytes]:
    """The secrets by name, and the key of the job's mask file."""
    try:
        data = json.loads(given) if given.strip() else {}
        secrets = data.get("secrets", {})
        return {str(name): str(value) for name, value in secrets.items()}, bytes.fromhex(data.get("mask_key", ""))
    except (ValueError, TypeError, AttributeError):
        raise Invalid(
            'standard input is not {"secrets": {NAME: VALUE}, "mask_key": HEX} as JSON; give at least {}'
        ) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
