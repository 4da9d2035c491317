"""Secret values and what hides them: masks for what people read, seals for what a later runner must get back.

A masked text shows `***` for each secret, in the forms a value usually takes on its way into a log: as it is, line by line,
JSON-escaped, URL-encoded and in base64 at each of the three alignments. A sealed text names the secret instead of holding it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from opsroom.workflows.protocol import StepResult
from opsroom.workflows.runner.mask_file import MaskFile

HIDDEN = "***"
_OPEN, _CLOSE = "\ue000", "\ue001"
_SEAL = re.compile(f"{_OPEN}(?:{_OPEN}|([0-9]+):([^{_OPEN}{_CLOSE}]*){_CLOSE})")
_MASK = "mask "
"""How the names of values found on the way begin; no secret's name holds a space."""
_SHORTEST_PART = 3
"""Parts of a value (one line of many, one alignment in base64) shorter than this are left alone: they would hide every log."""


class Masks:
    """The values of one job that nobody may read. Named ones come with the job; `add` takes those found on the way, and `kept` holds
    these for the next runner of the job (None: there will be none). Invalid: what it holds was changed."""

    def __init__(self, secrets: Mapping[str, str], kept: MaskFile | None = None) -> None:
        self._named = {name: value for name, value in secrets.items() if value}
        self._kept = kept
        self._found = kept.read() if kept else []
        self._compile()

    def add(self, value: str) -> None:
        """From now on `value`, and each line of it, is hidden."""
        if value.strip() and value not in self._found:
            if self._kept:
                self._kept.add(len(self._found), value)
            self._found.append(value)
            self._compile()

    def hide(self, text: str) -> str:
        """`text` with every secret as `***`."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    def holds(self, text: str) -> bool:
        """Whether `text` holds a secret."""
        return bool(self._pattern and self._pattern.search(text))

    def seal(self, text: str) -> str:
        """`text` for a file: a secret, in whatever form, becomes its name; a value found on the way that is not kept, `***`. `unseal`
        is the way back."""
        escaped = text.replace(_OPEN, _OPEN + _OPEN)
        if self._sealed is not None:
            escaped = self._sealed.sub(lambda found: self._seals[found[0]], escaped)
        return self._loose.sub(HIDDEN, escaped) if self._loose else escaped

    def seal_all(self, values: Mapping[str, str]) -> dict[str, str]:
        """Each value sealed, and each key masked."""
        return {self.hide(key): self.seal(value) for key, value in values.items()}

    def sealed(self, result: StepResult) -> dict[str, Any]:
        """A step's result as JSON for a file; its error is masked already."""
        data = asdict(result)
        for key in ("outputs", "env", "state"):
            data[key] = self.seal_all(data[key])
        data["path"] = [self.seal(one) for one in result.path]
        return data

    def opened(self, data: Mapping[str, Any]) -> StepResult:
        """The result that `sealed` made JSON of."""
        values = {key: self.unseal_all(data.get(key, {})) for key in ("outputs", "env", "state")}
        path = tuple(map(self.unseal, data.get("path", ())))
        return StepResult(**{**data, **values, "path": path})

    def unseal(self, text: str) -> str:
        """`text` as it was before `seal`; a secret that is no longer given becomes `***`."""
        return unseal(text, self._by_name)

    def unseal_all(self, values: Mapping[str, str]) -> dict[str, str]:
        """Each value as it was before `seal_all`."""
        return unseal_all(values, self._by_name)

    def _compile(self) -> None:
        numbered = {f"{_MASK}{number}": value for number, value in enumerate(self._found)} if self._kept else {}
        self._by_name = {**numbered, **self._named}
        found = [form for value in self._found for form in _forms(value)]
        named = [
            (form, name, index) for name, value in self._by_name.items() for index, form in enumerate(_forms(value))
        ]
        self._pattern = _any_of({*found, *(form for form, _, _ in named)})
        self._seals = {
            form.replace(_OPEN, _OPEN + _OPEN): f"{_OPEN}{index}:{name}{_CLOSE}"
            for form, name, index in reversed(named)
        }
        self._sealed = _any_of(self._seals)
        self._loose = None if self._kept else _any_of(set(found))


def unseal(text: str, secrets: Mapping[str, str]) -> str:
    """A sealed text as it was; a secret that is no longer given becomes `***`."""
    if _OPEN not in text:
        return text

    def opened(found: re.Match[str]) -> str:
        if found[1] is None:
            return _OPEN
        forms = _forms(secrets.get(found[2], ""))
        return forms[int(found[1])] if int(found[1]) < len(forms) else HIDDEN

    return _SEAL.sub(opened, text)


def unseal_all(values: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    """Each value unsealed."""
    return {key: unseal(value, secrets) for key, value in values.items()}


def _any_of(forms: Iterable[str]) -> re.Pattern[str] | None:
    longest_first = sorted((form for form in forms if form), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


@lru_cache(maxsize=256)
def _forms(value: str) -> tuple[str, ...]:
    """The forms a value takes, always in the same order; none for an empty one."""
    from urllib.parse import quote  # A job without secrets starts without it.

    forms = [value, value.strip()]
    forms += [line.strip() for line in value.splitlines() if len(line.strip()) >= _SHORTEST_PART]
    if len(value) >= _SHORTEST_PART:
        forms += [json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]]
        raw = value.encode("utf-8", "surrogatepass")
        forms += [quote(raw, safe=""), quote(raw)]
        for whole in (raw, value.strip().encode("utf-8", "surrogatepass")):
            forms += _base64_forms(whole)
    return tuple(dict.fromkeys(form for form in forms if form))


def _base64_forms(raw: bytes) -> Iterable[str]:
    """The characters that base64 shows of `raw` whatever stands before and after it, in both alphabets."""
    import base64

    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + raw)
        head = (0, 2, 3)[shift]
        tail = len(coded) - (0, 3, 2)[(shift + len(raw)) % 3]
        core = coded[head:tail].decode()
        if len(core) > _SHORTEST_PART:
            yield core
            yield core.replace("+", "-").replace("/", "_")
