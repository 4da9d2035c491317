"""Secrets: references instead of values, encryption at rest, an event for every read, and nothing shown anywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from opsroom.kernel.clock import Clock
from opsroom.kernel.errors import Forbidden, Invalid, NotFound
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.master_key import Keyring
from opsroom.kernel.migrations import Migration, Retention
from opsroom.kernel.redaction import MASK, MIN_LENGTH, Redactor
from opsroom.kernel.settings import child_environment
from opsroom.kernel.store import Store, Tx, table

__all__ = ["EVENTS", "MASK", "MIGRATIONS", "MIN_LENGTH", "Redactor", "Secret", "Secrets"]

EVENTS: tuple[tuple[str, str], ...] = (
    ("secret.set", "secret {secret} set"),
    ("secret.deleted", "secret {secret} deleted"),
    ("secret.read", "secret {secret} read for {purpose}"),
    ("secret.rotated", "{count} secrets encrypted anew with master key {key}"),
)
"""Event types of this part: name and sentence."""

MIGRATIONS = (
    Migration(
        name="secrets-0001",
        statements=(
            """CREATE TABLE secrets (
                name TEXT PRIMARY KEY, ciphertext TEXT NOT NULL, set_at TEXT NOT NULL, set_by TEXT NOT NULL,
                read_at TEXT)""",
        ),
        retention={"secrets": Retention(why="kept until deleted")},
    ),
)

_SECRETS = table("secrets", "name", "ciphertext", "set_by", times=("set_at", "read_at"))
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_LIMIT = 48_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """What may be known of a secret: all but its value. `key` is the id of the master key that encrypts it."""

    name: str
    key: str
    set_at: datetime
    set_by: str
    read_at: datetime | None


class Secrets:
    """The store of secrets. `environment` and `folders` are what `env:` and `file:` references may read; empty: nothing.

    Opening it makes the master key at first start, and tells the redactor every value there is."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        clock: Clock,
        redactor: Redactor,
        *,
        keys: Path,
        state: Path | None = None,
        environment: Sequence[str] = (),
        folders: Sequence[Path] = (),
    ) -> None:
        if state is not None and keys.resolve().is_relative_to(state.resolve()):
            raise Invalid(
                f"the keys folder {keys} lies inside the state {state}; set OPSROOM_KEYS to a folder outside it"
            )
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self.redactor = redactor
        self._environment = frozenset(environment)
        self._folders = tuple(folder.resolve() for folder in folders)
        self.keyring = Keyring(keys, clock)
        with store.read() as tx:
            rows = tx.rows(sa.select(_SECRETS))
        self.keyring.open(create=not rows)
        for row in rows:
            redactor.add(self._decrypt(row["name"], row["ciphertext"]), row["name"])

    def set(self, name: str, value: str, actor: str, *, cause: str = "") -> Secret:
        """Creates or replaces a secret. Invalid: a bad name, under 4 characters, over 48,000 (the limit of GitHub's)."""
        if not _NAME.fullmatch(name):
            raise Invalid(f"secret name {name!r} is not letters, digits and _, at most 100, starting with no digit")
        if len(value.encode("utf-8", "surrogatepass")) > _LIMIT:
            raise Invalid(
                f"secret {name!r} is longer than {_LIMIT} bytes; keep large files elsewhere and their key here"
            )
        self.redactor.add(value, name)
        now, ciphertext = self._clock.now(), self._encrypt(name, value)
        with self._store.begin() as tx:
            tx.execute(sa.delete(_SECRETS).where(_SECRETS.c.name == name))
            tx.execute(sa.insert(_SECRETS).values(name=name, ciphertext=ciphertext, set_at=now, set_by=actor))
            self._ledger.record(tx, "secret.set", actor=actor, cause=cause, subjects=(f"secret:{name}",))
        return Secret(name=name, key=self.keyring.current, set_at=now, set_by=actor, read_at=None)

    def delete(self, name: str, actor: str, *, cause: str = "") -> None:
        """Deletes a secret; its value stays hidden in this process. Error: not found."""
        with self._store.begin() as tx:
            if not tx.execute(sa.delete(_SECRETS).where(_SECRETS.c.name == name)).rowcount:
                raise self._not_found(name)
            self._ledger.record(tx, "secret.deleted", actor=actor, cause=cause, subjects=(f"secret:{name}",))

    def all(self) -> list[Secret]:
        """All secrets by name, without values."""
        with self._store.read() as tx:
            return [
                Secret(
                    name=row["name"], key=row["ciphertext"].split(".")[1], set_at=row["set_at"], set_by=row["set_by"],
                    read_at=row["read_at"],
                )
                for row in tx.rows(sa.select(_SECRETS).order_by(_SECRETS.c.name))
            ]  # fmt: skip

    def resolve(self, reference: str, actor: str, cause: str = "", *, purpose: str = "", tx: Tx | None = None) -> str:
        """The value behind `secret:NAME`, `env:NAME` or `file:PATH`; records `secret.read` with who and for what, and hides
        the value from now on. Give `tx` inside a write transaction: the event then commits with it."""
        scheme, _, name = reference.partition(":")
        value = self._look_up(scheme, name, reference, tx)
        self.redactor.add(value, name)
        now = self._clock.now()
        with self._write(tx) as writing:
            if scheme == "secret":
                writing.execute(sa.update(_SECRETS).where(_SECRETS.c.name == name).values(read_at=now))
            self._ledger.record(
                writing, "secret.read", actor=actor, cause=cause, subjects=(f"secret:{name}",),
                data={"reference": reference, "purpose": purpose or "use"},
            )  # fmt: skip
        return value

    def fill(self, text: str, actor: str, cause: str = "", *, purpose: str = "") -> str:
        """`text` with every `${{ secrets.NAME }}` replaced by the secret's value; each is a read, and so an event."""
        from opsroom.kernel.resources.fields import fill_secrets

        return fill_secrets(text, lambda reference: self.resolve(reference, actor, cause, purpose=purpose))

    def rotate(self, actor: str, *, cause: str = "") -> int:
        """Makes a new master key and encrypts every secret with it; returns how many. Older keys stay for older backups."""
        with self._store.begin() as tx:
            rows = tx.rows(sa.select(_SECRETS))
            values = {row["name"]: self._decrypt(row["name"], row["ciphertext"]) for row in rows}
            key = self.keyring.add()
            for name, value in values.items():
                ciphertext = self._encrypt(name, value)
                tx.execute(sa.update(_SECRETS).where(_SECRETS.c.name == name).values(ciphertext=ciphertext))
            self._ledger.record(
                tx, "secret.rotated", actor=actor, cause=cause, subjects=(f"key:{key}",), data={"count": len(values)}
            )
        return len(values)

    def key_for(self, purpose: str) -> bytes:
        """32 bytes for one purpose, always the same: HMAC-SHA256 of its name under the oldest master key."""
        return bytes.fromhex(self.keyring.fingerprint(f"key for {purpose}".encode()))

    def redact(self, text: str) -> str:
        """`text` without any secret value seen in this process."""
        return self.redactor.redact(text)

    def _look_up(self, scheme: str, name: str, reference: str, tx: Tx | None) -> str:
        if scheme == "secret":
            return self._stored(name, tx)
        if scheme == "env":
            return self._from_environment(name)
        if scheme == "file":
            return self._from_file(Path(name))
        raise Invalid(f"{reference!r} is no reference to a secret; write secret:NAME, env:NAME or file:PATH")

    def _stored(self, name: str, tx: Tx | None) -> str:
        with nullcontext(tx) if tx else self._store.read() as reading:
            row = reading.row(sa.select(_SECRETS).where(_SECRETS.c.name == name))
        if row is None:
            raise self._not_found(name)
        return self._decrypt(name, row["ciphertext"])

    def _from_environment(self, name: str) -> str:
        if name not in self._environment:
            raise Forbidden(f"env:{name} may not be read; an admin can add {name} to OPSROOM_SECRET_ENV")
        value = child_environment(name).get(name)
        if value is None:
            raise NotFound(f"env:{name} is not set where the server runs")
        return value

    def _from_file(self, path: Path) -> str:
        real = path.resolve()
        if not any(real.is_relative_to(folder) for folder in self._folders):
            raise Forbidden(f"file:{path} may not be read; an admin can add its folder to OPSROOM_SECRET_FILES")
        try:
            return real.read_text().rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise NotFound(f"file:{path} cannot be read: {type(error).__name__}") from None

    def _write(self, tx: Tx | None) -> AbstractContextManager[Tx]:
        return nullcontext(tx) if tx else self._store.begin()

    def _encrypt(self, name: str, value: str) -> str:
        return self.keyring.encrypt(value.encode("utf-8", "surrogatepass"), f"secret {name!r}")

    def _decrypt(self, name: str, ciphertext: str) -> str:
        return self.keyring.decrypt(ciphertext, f"secret {name!r}").decode("utf-8", "surrogatepass")

    def _not_found(self, name: str) -> NotFound:
        return NotFound(f"secret {name!r} does not exist; set it with: opsroom secrets set {name}")
