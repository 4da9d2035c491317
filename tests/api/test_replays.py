"""Idempotency keys on both databases: who takes a key first does the work, everyone after gets its answer."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opsroom.kernel.clock import FakeClock
from opsroom.kernel.errors import Conflict
from opsroom.kernel.master_key import Keyring
from opsroom.kernel.migrations import migrate
from opsroom.kernel.store import Store
from opsroom.surfaces.api import replays
from opsroom.surfaces.api.replays import Answer, replayed


@pytest.fixture
def plane(store: Store, clock: FakeClock, tmp_path: Path) -> Any:
    migrate(store, replays.MIGRATIONS)
    keyring = Keyring(tmp_path / "keys", clock)
    keyring.open(create=True)
    return SimpleNamespace(store=store, clock=clock, secrets=SimpleNamespace(keyring=keyring))


def test_the_second_gets_the_first_answer(plane: Any) -> None:
    answer = Answer(status=201, body=b'{"token":"ops_x"}', headers={"Location": "/x"})
    assert replayed(plane, "person:a", "k", "request", lambda: answer) == answer
    again = replayed(plane, "person:a", "k", "request", lambda: pytest.fail("done twice"))
    assert (again.status, again.body) == (201, answer.body) and again.headers["Idempotency-Replayed"] == "true"
    assert replayed(plane, "person:b", "k", "other", lambda: answer) == answer


def test_of_many_at_once_one_does_it(plane: Any) -> None:
    inside, release, done, refused = threading.Event(), threading.Event(), [], []

    def work() -> Answer:
        inside.set()
        release.wait(10)
        done.append(1)
        return Answer(status=200)

    def ask() -> None:
        try:
            replayed(plane, "person:a", "k", "request", work)
        except Conflict as error:
            refused.append(error)

    first = threading.Thread(target=ask)
    first.start()
    inside.wait(10)
    others = [threading.Thread(target=ask) for _ in range(4)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join(10)
    release.set()
    first.join(10)
    assert (len(done), len(refused)) == (1, 4)
