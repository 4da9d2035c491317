"""What a file is, as it should be and as it is; the states an object can be in; and how both are shown in a plan."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from opsroom.kernel.errors import Place
from opsroom.kernel.plan import Plan

ObjectState = Literal["in sync", "drifted", "not applied", "unknown", "unmanaged"]
PlanState = Literal["empty", "planned", "applying", "stopped", "applied", "superseded"]
"""`planned` may become any but `empty`; `stopped` was cut off or refused half-way and may be applied again."""

OPEN: tuple[PlanState, ...] = ("planned", "applying", "stopped")
ABSENT = "absent"
"""The mark of a file that is not there."""
SHOWN_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """A regular file: digest of its bytes, mode as four octal digits, and its text where it is UTF-8 text of a size a person reads.
    `owner` and `modified` are what is known of who changed it; a file as it should be has neither."""

    digest: str
    mode: str
    text: str | None = field(default=None, repr=False)
    size: int = 0
    owner: str = ""
    modified: datetime | None = None

    @property
    def mark(self) -> str:
        """Names content and mode; two files with the same mark are the same."""
        return f"{self.mode} {self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A host: where its files stand, the labels waivers match it by, and where it is written."""

    name: str
    folder: Path
    unmanaged: bool
    labels: Mapping[str, str]
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One managed file as the ops repo wants it; `state` None: it must not be there."""

    resource: str
    path: str
    state: FileState | None
    data: bytes = field(repr=False, default=b"")
    place: Place

    @property
    def mark(self) -> str:
        return self.state.mark if self.state else ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """How an object last was as it should be: its mark, the commit that decided it, and the event that says so."""

    mark: str
    commit: str
    event: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlan:
    """A plan with its life. `event` is its configuration.planned; `reason` says why it stopped."""

    id: str
    plan: Plan
    digest: str
    state: PlanState
    created: datetime
    created_by: str
    event: str
    key: str = ""
    applied_by: str = ""
    finished: datetime | None = None
    reason: str = ""


def state_of_bytes(data: bytes, mode: str, *, owner: str = "", modified: datetime | None = None) -> FileState:
    """The state of a file with these bytes."""
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    return FileState(digest=digest, mode=mode, text=_text(data), size=len(data), owner=owner, modified=modified)


def shown_fields(state: FileState, hidden: Callable[[str], bool]) -> dict[str, str]:
    """A file as plans and pages show it: `mode`, and `content`, or `digest` where the content is no text, is long, holds a secret
    (`hidden`), or is kept from other users by its mode."""
    if state.text is None or state.mode[-1] in "0123" or hidden(state.text):
        return {"mode": state.mode, "digest": state.digest}
    return {"mode": state.mode, "content": state.text}


def judge(wanted: Wanted, actual: FileState | None, known: Known | None) -> ObjectState:
    """Drift is a change that nobody decided; a decision not yet applied is none. Without a time when the object was as it should
    be, nothing can have drifted from it."""
    mark = actual.mark if actual else ABSENT
    if mark == wanted.mark:
        return "in sync"
    return "not applied" if known is None or known.mark == mark else "drifted"


def differences(wanted: FileState | None, actual: FileState | None) -> tuple[str, ...]:
    """What differs, in words."""
    if wanted is None or actual is None:
        return ("there, and should not be",) if wanted is None else ("missing",)
    found = []
    if wanted.digest != actual.digest:
        found.append("content")
    if wanted.mode != actual.mode:
        found.append(f"mode {actual.mode}")
    return tuple(found)


def _text(data: bytes) -> str | None:
    if len(data) > SHOWN_CHARACTERS or b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
