"""Writes the stored state that test_stored_state.py migrates: run once for a release, never again for the same one.

`python tests/stored/make_state.py NAME` makes tests/stored/NAME: the database as SQL text, its checkpoints, and the key that
signed them (a key made for this state alone). The state has only the tables of kernel and engine, as they were before there
were areas, events of every kind it could record, and one run that is queued and has not been finished.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from pathlib import Path

from opsroom.kernel import actors, secrets, waivers
from opsroom.kernel.clock import SystemClock
from opsroom.kernel.journal import Journal
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.migrations import KERNEL_MIGRATIONS, migrate
from opsroom.kernel.queue import Queue
from opsroom.kernel.settings import Settings
from opsroom.kernel.store import Store
from opsroom.kernel.verification import CheckpointKey, write_checkpoint
from opsroom.workflows import store as runs
from opsroom.workflows.actions import ActionHost
from opsroom.workflows.engine import Engine
from opsroom.workflows.starting import Repository

HERE = Path(__file__).parent
WORKFLOW = """
name: stored
on: workflow_dispatch
jobs:
  first:
    runs-on: ubuntu-latest
    steps:
      - run: echo begun by an earlier release
  second:
    needs: first
    runs-on: ubuntu-latest
    steps:
      - run: echo finished by this one
"""


class NoActions(ActionHost):
    """An engine of its own, without areas, has no actions."""


def make(name: str) -> None:
    target = HERE / name
    target.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        state, keys = Path(folder) / "state", Path(folder) / "keys"
        store, clock = Store(f"sqlite:///{state / 'opsroom.sqlite'}"), SystemClock()
        migrate(
            store, [*KERNEL_MIGRATIONS, *actors.MIGRATIONS, *secrets.MIGRATIONS, *waivers.MIGRATIONS, *runs.MIGRATIONS]
        )
        ledger = Ledger(store, clock)
        for n in range(20):
            with store.begin() as tx:
                pushed = ledger.record(
                    tx,
                    "change.pushed",
                    actor="person:maria",
                    subjects=["repository:shop", f"commit:{n:040x}"],
                    data={"n": n},
                )
        with store.begin() as tx:
            ledger.erase(tx, pushed.id, actor="person:admin", reason="personal data")
        engine = Engine(
            store=store, ledger=ledger, queue=Queue(store, clock), clock=clock, journal=Journal(clock),
            settings=Settings(state=state, keys=keys), actions=NoActions(), secrets=lambda run, job: {},
            sandbox_problem=lambda: "",
        )  # fmt: skip
        engine.dispatch(
            ".opsroom/workflows/stored.yml", WORKFLOW, {}, repository=Repository(name="shop"), ref="refs/heads/main",
            commit="c" * 40, actor="person:maria",
        )  # fmt: skip
        ledger.seal()
        key = CheckpointKey(keys)
        write_checkpoint(store, clock, key)
        store.close()
        with sqlite3.connect(state / "opsroom.sqlite") as connection:
            (target / "state.sql").write_text("\n".join(connection.iterdump()) + "\n")
        (target / "checkpoints.jsonl").write_bytes((keys / "checkpoints.jsonl").read_bytes())
        (target / "ledger-signing-key").write_bytes((keys / "ledger-signing-key").read_bytes())


if __name__ == "__main__":
    make(sys.argv[1])
