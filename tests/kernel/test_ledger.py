"""The ledger: recorded with the state it tells of, sealed in order, and tampering is found."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsroom.kernel.clock import FakeClock, SystemClock
from opsroom.kernel.errors import NotFound
from opsroom.kernel.ledger import EVENTS, Event, Ledger, event_hash
from opsroom.kernel.store import Store
from opsroom.kernel.verification import CheckpointKey, Verification, read_checkpoints, verify, write_checkpoint


def record(store: Store, ledger: Ledger, type: str = "thing.happened", **given: object) -> Event:
    with store.begin() as tx:
        return ledger.record(tx, type, actor="system:test", **given)  # type: ignore[arg-type]


def test_an_event_commits_with_the_transaction_or_not_at_all(store: Store, ledger: Ledger) -> None:
    with pytest.raises(RuntimeError), store.begin() as tx:
        ledger.record(tx, "thing.happened", actor="system:test")
        raise RuntimeError("the state did not change")
    assert ledger.find() == []


def test_the_same_key_is_recorded_once(store: Store, ledger: Ledger) -> None:
    first = record(store, ledger, key="delivery-7", data={"n": 1})
    again = record(store, ledger, key="delivery-7", data={"n": 2})
    assert again.id == first.id
    assert ledger.get(first.id).data == {"n": 1}


def test_causes_lead_to_the_root_and_effects_back(store: Store, ledger: Ledger, clock: FakeClock) -> None:
    push = record(store, ledger, "change.pushed")
    clock.advance(1)
    run = record(store, ledger, "run.queued", cause=push.id)
    clock.advance(1)
    done = record(store, ledger, "run.finished", cause=run.id)
    assert [event.type for event in ledger.chain(done.id)] == ["run.finished", "run.queued", "change.pushed"]
    assert [event.id for event in ledger.effects(push.id)] == [run.id]


def test_find_filters_by_type_prefix_subject_and_time_and_pages(store: Store, ledger: Ledger, clock: FakeClock) -> None:
    for n in range(5):
        record(store, ledger, "run.queued" if n % 2 else "deployment.started", subjects=["service:a", f"run:{n}"])
        clock.advance(10)
    assert len(ledger.find(types=["run."])) == 2
    assert len(ledger.find(types=["run.queued", "deployment."], subjects=["service:a"])) == 5
    assert len(ledger.find(subjects=["service:a", "run:3"])) == 1
    first = ledger.find(limit=2)
    rest = ledger.find(limit=10, after=first[-1].id)
    assert [event.subject("run") for event in (*first, *rest)] == ["4", "3", "2", "1", "0"]


def test_a_missing_event_is_named(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="evt_nowhere"):
        ledger.get("evt_nowhere")


def test_a_subject_without_a_kind_is_our_bug(store: Store, ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="kind:value"):
        record(store, ledger, subjects=["storefront"])


def test_writers_on_many_threads_are_all_sealed_once(store: Store) -> None:
    ledger = Ledger(store, SystemClock())

    def write(worker: int) -> None:
        for n in range(20):
            record(store, ledger, data={"worker": worker, "n": n})

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ledger.seal()
    ledger.seal()
    events = ledger.read(0)
    assert [event.seq for event in events] == list(range(1, 81))
    assert {(event.data["worker"], event.data["n"]) for event in events} == {
        (w, n) for w in range(4) for n in range(20)
    }


def test_a_late_commit_is_not_skipped(store: Store, ledger: Ledger, clock: FakeClock) -> None:
    """An event made before another but committed after it gets the later number: a reader past the first still sees it."""
    if store.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time, so no commit can be late")
    with store.begin() as slow:
        late = ledger.record(slow, "thing.late", actor="system:test")
        clock.advance(1)
        early = record(store, ledger, "thing.early")
        ledger.seal()
        assert [event.id for event in ledger.read(0)] == [early.id]
    ledger.seal()
    assert [event.id for event in ledger.read(1)] == [late.id]


def test_cursors_only_move_forward(store: Store, ledger: Ledger) -> None:
    with store.begin() as tx:
        ledger.advance(tx, "reader", 5)
    with store.begin() as tx:
        ledger.advance(tx, "reader", 3)
    assert ledger.cursor("reader") == 5


def test_payloads_are_redacted_in_keys_and_values(store: Store, clock: FakeClock) -> None:
    ledger = Ledger(store, clock, redact=lambda text: text.replace("hunter2", "***"))
    event = record(store, ledger, data={"hunter2": {"deep": ["say hunter2", 1, None]}})
    assert ledger.get(event.id).data == {"***": {"deep": ["say ***", 1, None]}}


class Tampered:
    """A sealed ledger of ten events with a signed checkpoint, and what a check says after someone has been at it."""

    def __init__(self, store: Store, ledger: Ledger, keys: Path, clock: FakeClock) -> None:
        self.store, self.ledger, self.key = store, ledger, CheckpointKey(keys)
        for n in range(10):
            record(store, ledger, data={"n": n}, subjects=[f"run:{n}"])
            clock.advance(1)
        ledger.seal()
        write_checkpoint(store, clock, self.key)

    def sql(self, *statements: str) -> Tampered:
        with self.store.begin() as tx:
            for statement in statements:
                tx.execute(statement)
        return self

    def check(self) -> Verification:
        return verify(self.store, self.ledger, read_checkpoints(self.key.file), self.key.public())


@pytest.fixture
def tampered(store: Store, ledger: Ledger, tmp_path: Path, clock: FakeClock) -> Tampered:
    return Tampered(store, ledger, tmp_path / "keys", clock)


def test_an_untouched_ledger_verifies(tampered: Tampered) -> None:
    found = tampered.check()
    assert found.ok and found.events == 10 and found.checkpoints == 1


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "UPDATE events SET data = '{\"n\": 99}' WHERE id IN (SELECT event FROM seals WHERE seq = 4)",
            "payload was edited",
        ),
        (
            "UPDATE events SET actor = 'person:eve' WHERE id IN (SELECT event FROM seals WHERE seq = 4)",
            "hash does not follow",
        ),
        ("DELETE FROM event_subjects WHERE subject = 'run:3'", "hash does not follow"),
        ("DELETE FROM events WHERE id IN (SELECT event FROM seals WHERE seq = 4)", "1 sealed event without a row"),
        ("DELETE FROM seals WHERE seq = 4", "event 4 is missing"),
        ("DELETE FROM seals WHERE seq > 8", "tail was cut"),
    ],
)
def test_tampering_is_found(tampered: Tampered, statement: str, words: str) -> None:
    found = tampered.sql(statement).check()
    assert not found.ok
    assert any(words in problem for problem in found.problems), found.problems


def test_a_deleted_event_with_its_seal_and_the_tail_are_found(tampered: Tampered) -> None:
    cut = tampered.sql(
        "DELETE FROM events WHERE id IN (SELECT event FROM seals WHERE seq > 8)", "DELETE FROM seals WHERE seq > 8"
    ).check()
    assert any("tail was cut" in problem for problem in cut.problems)


def test_a_recomputed_chain_is_found_by_the_signed_checkpoint(tampered: Tampered) -> None:
    tampered.sql("UPDATE events SET actor = 'person:eve' WHERE id IN (SELECT event FROM seals WHERE seq = 4)")
    previous = "0" * 64
    for event in tampered.ledger.read(0):
        previous = event_hash(previous, event.seq or 0, event)
        tampered.sql(f"UPDATE seals SET hash = '{previous}' WHERE seq = {event.seq}")
    found = tampered.check()
    assert [problem for problem in found.problems if "recomputed" in problem] == list(found.problems)


def test_a_forged_checkpoint_is_found(tampered: Tampered) -> None:
    forged = tampered.key.file.read_text().replace('"seq": 10', '"seq": 9')
    tampered.key.file.write_text(forged)
    assert any("signature does not hold" in problem for problem in tampered.check().problems)


def test_an_erased_payload_leaves_a_tombstone_that_verifies(tampered: Tampered, store: Store, ledger: Ledger) -> None:
    victim = ledger.read(3, limit=1)[0]
    with store.begin() as tx:
        ledger.erase(tx, victim.id, actor="person:maria", reason="personal data")
    ledger.seal()
    found = tampered.check()
    assert found.ok and found.erased == 1
    assert ledger.get(victim.id).data == {} and ledger.get(victim.id).erased == "personal data"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.dictionaries(
        st.text(max_size=5), st.integers() | st.text(max_size=9) | st.booleans() | st.none(), max_size=4
    )
)
def test_any_payload_comes_back_and_verifies(tmp_path_factory: pytest.TempPathFactory, data: dict[str, object]) -> None:
    from opsroom.kernel.migrations import KERNEL_MIGRATIONS, migrate

    folder = tmp_path_factory.mktemp("ledger")
    store, clock = Store(f"sqlite:///{folder / 's.sqlite'}"), FakeClock()
    migrate(store, KERNEL_MIGRATIONS)
    ledger = Ledger(store, clock)
    event = record(store, ledger, data=data)
    ledger.seal()
    assert ledger.get(event.id).data == data
    key = CheckpointKey(folder / "keys")
    assert verify(store, ledger, [], key.public()).ok
    store.close()


def test_every_event_column_is_covered_by_the_hash() -> None:
    """A column added to events must be put into the hash, or an edit of it goes unseen."""
    hashed = {"id", "type", "version", "time", "recorded", "actor", "cause", "dedup", "payload_digest"}
    assert {column.name for column in EVENTS.c} - hashed == {"data", "erased"}
    assert sa.inspect(EVENTS) is not None
