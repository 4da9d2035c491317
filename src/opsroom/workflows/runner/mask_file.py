"""The values a job asked to hide (`::add-mask::`), kept for the runner that takes the job up again, and never in clear."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from opsroom.kernel.errors import Invalid

NAME = "masks"
_NONCE = 12


class MaskFile:
    """A file of a job's folder: one value a line, each by AES-256-GCM (NIST SP 800-38D) under `key`, 32 bytes that only the server and
    the job's runner hold. The values keep their order, by which sealed texts name them."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._path = folder / NAME
        self._key = key

    def read(self) -> list[str]:
        """The values kept. Invalid: the file was changed, or is another job's."""
        try:
            lines = self._path.read_bytes().split(b"\n")[:-1]  # What a kill tore in two was used by nothing yet.
        except FileNotFoundError:
            return []
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        found = []
        for number, line in enumerate(lines):
            try:
                raw = base64.b64decode(line, validate=True)
                value = AESGCM(self._key).decrypt(raw[:_NONCE], raw[_NONCE:], _bound(number))
            except (InvalidTag, ValueError):
                raise Invalid(f"{self._path}:{number + 1}: not written by this job; run the job again") from None
            found.append(value.decode("utf-8", "surrogatepass"))
        return found

    def add(self, number: int, value: str) -> None:
        """Keeps a value as the `number`th, from 0; on disk when it returns."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE)
        sealed = AESGCM(self._key).encrypt(nonce, value.encode("utf-8", "surrogatepass"), _bound(number))
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)
            file.seek(whole)
            file.write(base64.b64encode(nonce + sealed) + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _bound(number: int) -> bytes:
    return f"opsroom mask {number}".encode()
