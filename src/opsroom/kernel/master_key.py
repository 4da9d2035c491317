"""The master key: a small file outside the state and every backup, with which everything secret in the state is encrypted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path

from opsroom.kernel.clock import Clock, stamp
from opsroom.kernel.errors import Invalid, Unavailable

FILE = "master-key"
_VERSION = "v1"
_NONCE = 12


@dataclass(frozen=True, slots=True)
class _Key:
    id: str
    octets: bytes


class Keyring:
    """The keys of one folder, newest last. The newest encrypts; older ones stay so that old state and backups can be read.

    File `master-key`, mode 0600, one line a key: `ID BASE64 MADE`."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.path = folder / FILE
        self._clock = clock
        self._keys: list[_Key] = []

    def open(self, *, create: bool) -> None:
        """Reads the file. Where it is missing: makes it if `create`, else Unavailable, since what it encrypted would be lost."""
        if self.path.exists():
            self._keys = _read(self.path)
        elif create:
            self.add()
        else:
            raise Unavailable(
                f"the master key {self.path} is missing, but the state holds secrets encrypted with it; "
                "put that file back from where you keep it (it is in no backup of Opsroom)"
            )

    def add(self) -> str:
        """Adds a new key, with which everything is encrypted from now on; returns its id."""
        key = _Key(f"k{os.urandom(4).hex()}", os.urandom(32))
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = self.path.read_text() if self.path.exists() else ""
        lines += f"{key.id} {base64.b64encode(key.octets).decode()} {stamp(self._clock.now())}\n"
        write_private(self.path, lines)
        self._keys.append(key)
        return key.id

    @property
    def current(self) -> str:
        """The id of the key that encrypts now."""
        return self._newest.id

    def encrypt(self, octets: bytes, context: str) -> str:
        """AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce; `context` must be given again to decrypt.

        The text names the key: `v1.KEY.BASE64(nonce + ciphertext + tag)`."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key, nonce = self._newest, os.urandom(_NONCE)
        sealed = AESGCM(key.octets).encrypt(nonce, octets, _bound(key.id, context))
        return f"{_VERSION}.{key.id}.{base64.b64encode(nonce + sealed).decode()}"

    def decrypt(self, text: str, context: str) -> bytes:
        """The reverse. A key that is not in the file is Unavailable; a text that was changed or moved elsewhere is Invalid."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        version, id, body = [*text.split(".", 2), "", ""][:3]
        key = self._find(id)
        if version != _VERSION or key is None:
            raise Unavailable(
                f"{context} is encrypted with key {id!r}, which is not in {self.path}; put that key's line back"
            )
        try:
            sealed = base64.b64decode(body, validate=True)
            return AESGCM(key.octets).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(id, context))
        except (InvalidTag, ValueError):
            raise Invalid(f"the ciphertext of {context} was changed in the database; set it again") from None

    def fingerprint(self, octets: bytes) -> str:
        """A keyed digest (HMAC-SHA256, hex): equal for equal input, and useless to who has the database but not the key."""
        return hmac.new(self._keys[0].octets, octets, hashlib.sha256).hexdigest()

    def _find(self, id: str) -> _Key | None:
        key = next((key for key in self._keys if key.id == id), None)
        if key is None and self.path.exists():
            # Another process of this installation may have rotated the key.
            self._keys = _read(self.path)
            key = next((key for key in self._keys if key.id == id), None)
        return key

    @property
    def _newest(self) -> _Key:
        return self._keys[-1]


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read (0600), whole or not at all, and durably."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)


def _bound(key: str, context: str) -> bytes:
    return f"opsroom\0{_VERSION}\0{key}\0{context}".encode()


def _read(path: Path) -> list[_Key]:
    if path.stat().st_mode & 0o077:
        raise Invalid(f"{path} can be read by other users of this machine; run: chmod 600 {path}")
    keys = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        id, _, rest = line.partition(" ")
        try:
            octets = base64.b64decode(rest.split(" ")[0], validate=True)
        except ValueError:
            octets = b""
        if not id or len(octets) != 32:
            raise Invalid(f"{path}:{number}: not a key; put the file back as it was")
        keys.append(_Key(id, octets))
    if not keys:
        raise Invalid(f"{path} is empty; put the file back as it was")
    return keys
