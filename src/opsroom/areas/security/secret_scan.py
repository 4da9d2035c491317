"""A secret scan: the walk as a child process under limits, its hits made into findings that hold no value."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import opsroom
from opsroom.areas.security.files import open_folder
from opsroom.areas.security.model import EVERYTHING, Found, Result, Unchecked
from opsroom.areas.security.secret_rules import entropy
from opsroom.contracts.actions import ActionFailed
from opsroom.kernel.settings import child_environment

MOST_FILES = 20_000
MOST_BYTES = 20_000_000
MOST_SECONDS = 60.0
GRACE_SECONDS = 15.0
ASK_SECONDS = 0.5
MOST_HITS = 500
_HIDDEN_AT_LEAST = 12


def scan_secrets(
    workspace: Path,
    path: str,
    *,
    fingerprint: Callable[[str], str],
    hide: Callable[[str], None],
    redact: Callable[[str], str] = str,
    cancelled: Callable[[], bool],
) -> Result:
    """What the files under `path` hold. `fingerprint` makes of a value what may be kept of it; `hide` is told every value that
    could be seen elsewhere, and `redact` then takes them out of names and paths. Over the limits the rest is unchecked. ActionFailed: no such folder, or the run was cancelled."""
    with open_folder(workspace, path):
        lines = _lines(workspace, path, cancelled)
    hits = [line["hit"] for line in lines if "hit" in line]
    for piece in (piece for hit in hits for piece in _pieces(hit) if worth_hiding(piece)):
        hide(piece)
    unchecked = [
        Unchecked(what=redact(line["unchecked"]["what"]), why=line["unchecked"]["why"])
        for line in lines
        if "unchecked" in line
    ]
    found = [_found(hit, fingerprint(hit["value"]), redact) for hit in hits[:MOST_HITS]]
    if len(hits) > MOST_HITS:
        unchecked.append(
            Unchecked(what=EVERYTHING, why=f"{len(hits)} hits, of which {MOST_HITS} are kept; mend these first")
        )
    end = next((line["end"] for line in lines if "end" in line), None)
    if end is None:
        unchecked.append(Unchecked(what=EVERYTHING, why=f"the scan was ended after {MOST_SECONDS + GRACE_SECONDS:g} s"))
    return Result(found=tuple(found), unchecked=tuple(unchecked), looked_at=end["looked_at"] if end else 0)


def worth_hiding(value: str) -> bool:
    """Whether a value is long and random enough that hiding it in every output hides nothing else. Digests and commits, which our
    own records hold, never are: whoever pushed one as a "secret" could blind the plane to it."""
    if len(value) < _HIDDEN_AT_LEAST or (len(value) in (40, 64) and all(one in "0123456789abcdef" for one in value)):
        return False
    return any(one.isdigit() for one in value) and any(one.isalpha() for one in value) and entropy(value) >= 3.0


def _pieces(hit: Mapping[str, Any]) -> list[str]:
    """The value as it would show: a private key as the lines of PEM (64 characters, RFC 7468) or of OpenSSH (70)."""
    value = hit["value"]
    if hit["rule"] != "private-key":
        return [value]
    return [value, *(value[at : at + width] for width in (64, 70) for at in range(0, len(value), width))]


def _found(hit: Mapping[str, Any], fingerprint: str, redact: Callable[[str], str]) -> Found:
    path = redact(hit["path"])
    return Found(
        fingerprint=fingerprint, rule=hit["rule"], severity=hit["severity"], title=redact(hit["title"]),
        places=(f"{path}:{hit['line']}",), covers=(path,),
        fix="revoke it where it was issued, then take it out of the repository and give it by a secret",
    )  # fmt: skip


def _lines(workspace: Path, path: str, cancelled: Callable[[], bool]) -> list[dict[str, Any]]:
    request = {
        "workspace": str(workspace),
        "path": path,
        "files": MOST_FILES,
        "bytes": MOST_BYTES,
        "seconds": MOST_SECONDS,
    }
    package = str(Path(opsroom.__file__).resolve().parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "opsroom.areas.security.secret_walk"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**child_environment(), "PYTHONPATH": package},
    )  # fmt: skip
    until, given = time.monotonic() + MOST_SECONDS + GRACE_SECONDS, json.dumps(request).encode()
    while True:
        try:
            out, err = process.communicate(given, timeout=ASK_SECONDS)
            break
        except subprocess.TimeoutExpired:
            given = None  # type: ignore[assignment]  # what was given is on its way
            if cancelled() or time.monotonic() > until:
                process.kill()
                out, err = process.communicate()
                if cancelled():
                    raise ActionFailed("the secret scan was cancelled") from None
                break
    if process.returncode > 0:
        raise RuntimeError(f"the secret scan ended with {process.returncode}: {err.decode('utf-8', 'replace')[-2000:]}")
    return _read(out)


def _read(out: bytes) -> list[dict[str, Any]]:
    lines = out.split(b"\n")
    # A scan that was killed may leave half a line at the end.
    return [json.loads(line) for line in lines[:-1] if line]
