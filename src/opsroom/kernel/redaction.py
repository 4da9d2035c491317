"""Redaction: every text that leaves the process loses the secret values this process has seen, in every usual encoding."""

from __future__ import annotations

import base64
import html
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from opsroom.kernel.errors import Invalid

MASK = "***"
MIN_LENGTH = 4
_HEAD = 48


class Redactor:
    """Knows secret values and replaces them by `***`. Threads may share one; `add` is rare, `redact` is fast and frequent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: set[str] = set()
        self._matcher: _Matcher | None = None

    def add(self, value: str, name: str = "") -> None:
        """From now on `value` is hidden: as it is, each of its lines, and JSON-, URL-, HTML-, shell- and base64-encoded.

        A value under 4 characters is Invalid: hiding it would cut up ordinary text. The error never shows the value."""
        if len(value.strip()) < MIN_LENGTH:
            what = f"secret {name!r}" if name else "a secret"
            raise Invalid(
                f"{what} has fewer than {MIN_LENGTH} characters and could not be hidden in logs; give a longer one"
            )
        forms = set(_forms(value))
        with self._lock:
            if not forms <= self._forms:
                self._forms |= forms
                self._matcher = None

    def redact(self, text: str) -> str:
        """`text` with every known value replaced; text without any comes back as the same object."""
        if not self._forms:
            return text
        matcher = self._matcher
        if matcher is None:
            with self._lock:
                matcher = self._matcher = _Matcher(self._forms)
        return matcher.replace(text)

    def redact_data(self, value: Any) -> Any:
        """A JSON-like value with every text in it, keys too, redacted."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, Mapping):
            return {self.redact(str(key)): self.redact_data(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.redact_data(item) for item in value]
        return value

    __call__ = redact


def _forms(value: str) -> Iterator[str]:
    """Every spelling of a secret that is looked for; all have at least 4 characters."""
    parts = {value, value.strip(), *(line.strip() for line in value.splitlines())}
    for part in parts:
        if len(part) < MIN_LENGTH:
            continue
        yield part
        yield json.dumps(part)[1:-1]
        yield json.dumps(part, ensure_ascii=False)[1:-1]
        yield repr(part)[1:-1]
        yield html.escape(part)
        yield html.escape(part, quote=False)
        yield html.escape(part).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
        yield part.replace("'", "'\"'\"'")
        yield part.replace("'", "'\\''")
        octets = part.encode("utf-8", "surrogatepass")
        for quoted in (
            urllib.parse.quote(octets),
            urllib.parse.quote(octets, safe=""),
            urllib.parse.quote_plus(octets),
        ):
            yield quoted
            yield re.sub("%..", lambda found: found.group().lower(), quoted)
        yield from _base64(octets)


def _base64(octets: bytes) -> Iterator[str]:
    """The characters that do not depend on what stands before or after, for each of the three ways bytes can lie in base64."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + octets).decode().rstrip("=")
        first = (0, 2, 3)[before]
        last = len(encoded) if (before + len(octets)) % 3 == 0 else len(encoded) - 1
        stable = encoded[first:last]
        if len(stable) >= MIN_LENGTH:
            yield stable
            yield stable.replace("+", "-").replace("/", "_")
            yield urllib.parse.quote(stable, safe="")
    whole = base64.b64encode(octets).decode()
    yield whole
    yield whole.rstrip("=")
    yield base64.urlsafe_b64encode(octets).decode()
    yield octets.hex()


class _Matcher:
    """One compiled expression over the first 48 characters of every form; what it hits is compared in full."""

    def __init__(self, forms: set[str]) -> None:
        ordered = sorted(forms, key=len, reverse=True)
        heads = sorted({form[:_HEAD] for form in ordered})
        self._pattern = re.compile(_alternatives(heads))
        self._by_head = {
            head: [form for form in ordered if form.startswith(head) or head.startswith(form)] for head in heads
        }

    def replace(self, text: str) -> str:
        found = self._pattern.search(text)
        if found is None:
            return text
        kept: list[str] = []
        done = 0
        while found is not None:
            start = found.start()
            form = next((form for form in self._by_head[found.group()] if text.startswith(form, start)), "")
            if form:
                kept += (text[done:start], MASK)
                done = start + len(form)
            found = self._pattern.search(text, done if form else start + 1)
        return "".join((*kept, text[done:]))


def _alternatives(words: list[str]) -> str:
    """A regular expression for any of these sorted words, longest first, that looks at each character of the text once."""
    branches = []
    start = 0
    while start < len(words):
        end = start
        while end < len(words) and words[end][0] == words[start][0]:
            end += 1
        group = words[start:end]
        prefix = _shared(group[0], group[-1])
        rest = [word[len(prefix) :] for word in group if len(word) > len(prefix)]
        tail = f"(?:{_alternatives(rest)})" + ("?" if len(rest) < len(group) else "") if rest else ""
        branches.append(re.escape(prefix) + tail)
        start = end
    return "|".join(branches)


def _shared(one: str, other: str) -> str:
    length = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:length]
