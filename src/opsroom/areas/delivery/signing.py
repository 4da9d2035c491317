"""Signatures of provenance: DSSE envelopes signed by this plane's own Ed25519 key, which stands outside the state."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsroom.kernel.errors import Invalid
from opsroom.kernel.master_key import write_private

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
KEY_FILE = "provenance-signing-key.pem"
_making = threading.Lock()


class BadSignature(Invalid):
    """An envelope is malformed, or not signed by this plane's key."""

    title = "Signature does not verify"


def sign(keys: Path, statement: Mapping[str, Any]) -> bytes:
    """The statement in a DSSE envelope (DSSE v1.0, JSON), signed. The key is made at first use, readable by its owner only."""
    from securesystemslib.dsse import Envelope

    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(_signer(keys))
    return json.dumps(envelope.to_dict(), sort_keys=True).encode()


def opened(keys: Path, envelope: bytes) -> Mapping[str, Any]:
    """The statement of an envelope whose signature verifies. BadSignature says why it does not."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import FormatError, VerificationError

    try:
        read = Envelope.from_dict(json.loads(envelope))
        read.verify([_signer(keys).public_key], 1)
        statement = json.loads(read.payload)
    except VerificationError:
        raise BadSignature(f"it is not signed by this plane's key {key_id(keys)[:12]}") from None
    except (ValueError, KeyError, TypeError, FormatError) as error:
        raise BadSignature(f"it is no DSSE envelope: {error}") from None
    if read.payload_type != PAYLOAD_TYPE or not isinstance(statement, dict):
        raise BadSignature(f"its payload is {read.payload_type!r}, not an in-toto statement")
    return statement


def unverified(envelope: bytes) -> Mapping[str, Any]:
    """The statement as it stands in an envelope, to be shown beside the verdict; empty where it cannot be read."""
    import base64

    try:
        statement = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    except (ValueError, KeyError, TypeError):
        return {}
    return statement if isinstance(statement, dict) else {}


def key_id(keys: Path) -> str:
    """The id of the public key, as it stands in signatures."""
    return str(_signer(keys).public_key.keyid)


def _signer(keys: Path) -> CryptoSigner:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    file = keys / KEY_FILE
    with _making:
        if not file.exists():
            write_private(file, CryptoSigner.generate_ed25519().private_bytes.decode())
    key = load_pem_private_key(file.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise Invalid(f"{file} is no Ed25519 key; put the one that Opsroom made back in its place")
    return CryptoSigner(key)
