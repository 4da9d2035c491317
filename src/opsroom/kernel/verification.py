"""Proof of the ledger: signed checkpoints that leave the database, and the check that finds what was done to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from opsroom.kernel.clock import Clock, stamp
from opsroom.kernel.counting import counted
from opsroom.kernel.errors import Invalid
from opsroom.kernel.ledger import EVENTS, GENESIS, SEALS, UNSEALED, Event, Ledger, digest_of, event_hash
from opsroom.kernel.store import Store, dumps

PROBLEM_LIMIT = 100
CHUNK = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The hash the chain had at a sequence number, signed (Ed25519) over `{"seq","hash","made"}` as compact JSON."""

    seq: int
    hash: str
    made: str
    signature: str

    @property
    def signed(self) -> bytes:
        return dumps({"seq": self.seq, "hash": self.hash, "made": self.made}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a check of the whole chain found. `events` counts sealed ones; `problems` is empty exactly when `ok`."""

    ok: bool
    events: int
    unsealed: int
    checkpoints: int
    erased: int
    problems: tuple[str, ...]


class CheckpointKey:
    """The signing key, in `folder` outside the state. Made at first use, readable by its owner only."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ledger-signing-key"
        self.file = folder / "checkpoints.jsonl"

    def sign(self, message: bytes) -> str:
        return self._private().sign(message).hex()

    def public(self) -> Ed25519PublicKey:
        return self._private().public_key()

    def public_hex(self) -> str:
        return self.public().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def _private(self) -> Ed25519PrivateKey:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            key = Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
            self._path.touch(mode=0o600)
            self._path.write_bytes(key)
        return Ed25519PrivateKey.from_private_bytes(self._path.read_bytes())


def write_checkpoint(store: Store, clock: Clock, key: CheckpointKey) -> Checkpoint | None:
    """Signs the end of the chain into the file outside the database; None when nothing is new since the last one."""
    with store.read() as tx:
        last = tx.row(sa.select(SEALS.c.seq, SEALS.c.hash).order_by(SEALS.c.seq.desc()).limit(1))
    known = read_checkpoints(key.file)
    if last is None or (known and known[-1].seq >= last["seq"]):
        return None
    bare = Checkpoint(seq=last["seq"], hash=last["hash"], made=stamp(clock.now()), signature="")
    made = Checkpoint(seq=bare.seq, hash=bare.hash, made=bare.made, signature=key.sign(bare.signed))
    key.file.parent.mkdir(parents=True, exist_ok=True)
    with key.file.open("a") as out:
        out.write(
            json.dumps({"seq": made.seq, "hash": made.hash, "made": made.made, "signature": made.signature}) + "\n"
        )
    return made


def read_checkpoints(file: Path) -> list[Checkpoint]:
    """The checkpoints of a file, oldest first; a file that does not exist has none, a broken line is Invalid."""
    if not file.exists():
        return []
    found = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        try:
            found.append(Checkpoint(**json.loads(line)))
        except (ValueError, TypeError):
            raise Invalid(
                f"{file}:{number}: not a checkpoint; restore the file from where checkpoints are copied to"
            ) from None
    return found


def verify(store: Store, ledger: Ledger, checkpoints: Sequence[Checkpoint], public: Ed25519PublicKey) -> Verification:
    """Reads the whole chain and every checkpoint. Finds an edited payload or envelope, a deleted or added row, a cut tail,
    and a chain that was recomputed (its hashes hold, but not the signed ones)."""
    problems: list[str] = []
    hashes: dict[int, str] = {}
    wanted = {checkpoint.seq for checkpoint in checkpoints}
    expected, previous, erased = 1, GENESIS, 0
    for event in _sealed(ledger):
        seq = event.seq or 0
        while expected < seq:
            problems.append(f"event {expected} is missing from the ledger")
            expected += 1
            previous = ""
        if event.erased:
            erased += 1
        elif digest_of(event.data) != event.payload_digest:
            problems.append(f"event {seq} ({event.id}, {event.type}): its payload was edited")
        if previous and event_hash(previous, seq, event) != event.hash:
            problems.append(f"event {seq} ({event.id}, {event.type}): its hash does not follow from the one before")
        if seq in wanted:
            hashes[seq] = event.hash
        previous, expected = event.hash, seq + 1
    unsealed, stray, lost = _counts(store)
    if lost:
        problems.append(f"{counted(lost, 'sealed event')} without a row in the ledger")
    if stray:
        problems.append(f"{counted(stray, 'event')} in the ledger without a seal")
    problems += _against(checkpoints, hashes, expected - 1, public)
    return Verification(
        ok=not problems,
        events=expected - 1,
        unsealed=unsealed,
        checkpoints=len(checkpoints),
        erased=erased,
        problems=tuple(problems[:PROBLEM_LIMIT]),
    )


def _sealed(ledger: Ledger) -> Iterator[Event]:
    after = 0
    while chunk := ledger.read(after, limit=CHUNK):
        yield from chunk
        after = chunk[-1].seq or 0


def _counts(store: Store) -> tuple[int, int, int]:
    sealed, waiting = sa.select(SEALS.c.event), sa.select(UNSEALED.c.event)
    with store.read() as tx:
        unsealed = tx.scalar(sa.select(sa.func.count()).select_from(UNSEALED))
        stray = tx.scalar(
            sa.select(sa.func.count())
            .select_from(EVENTS)
            .where(EVENTS.c.id.not_in(sealed), EVENTS.c.id.not_in(waiting))
        )
        lost = tx.scalar(
            sa.select(sa.func.count()).select_from(SEALS).where(SEALS.c.event.not_in(sa.select(EVENTS.c.id)))
        )
    return int(unsealed), int(stray), int(lost)


def _against(
    checkpoints: Sequence[Checkpoint], hashes: dict[int, str], last: int, public: Ed25519PublicKey
) -> Iterator[str]:
    for checkpoint in checkpoints:
        try:
            public.verify(bytes.fromhex(checkpoint.signature), checkpoint.signed)
        except (InvalidSignature, ValueError):
            yield f"checkpoint at {checkpoint.seq} made {checkpoint.made}: its signature does not hold"
            continue
        if checkpoint.seq > last:
            yield f"the tail was cut: checkpoint at {checkpoint.seq} made {checkpoint.made}, the ledger ends at {last}"
        elif hashes.get(checkpoint.seq) != checkpoint.hash:
            yield f"the chain was recomputed: event {checkpoint.seq} does not have the hash signed {checkpoint.made}"
