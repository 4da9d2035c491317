"""Differences for people: lines of a unified diff, or of two texts, each with its kind and both numbers."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffLine:
    """`kind` is same, added, removed, hunk or file; the numbers are those of the old and the new text (0: not in it)."""

    kind: str
    text: str
    old: int = 0
    new: int = 0

    @property
    def sign(self) -> str:
        return {"added": "+", "removed": "−"}.get(self.kind, "")


def diff_of(old: str, new: str, *, context: int = 3) -> list[DiffLine]:
    """The difference of two texts; empty where they are the same."""
    return parse_diff("\n".join(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=context)))


def parse_diff(text: str) -> list[DiffLine]:
    """The lines of a unified diff; what stands before its first hunk is kept as `file` lines, `---`/`+++` of a nameless diff is not."""
    lines: list[DiffLine] = []
    old = new = old_left = new_left = 0
    for line in text.splitlines():
        if hunk := _HUNK.match(line):
            old, new = int(hunk[1]), int(hunk[3])
            old_left, new_left = int(hunk[2] or 1), int(hunk[4] or 1)
            lines.append(DiffLine(kind="hunk", text=line))
        elif line.startswith("+") and new_left:
            lines.append(DiffLine(kind="added", text=line[1:], new=new))
            new, new_left = new + 1, new_left - 1
        elif line.startswith("-") and old_left:
            lines.append(DiffLine(kind="removed", text=line[1:], old=old))
            old, old_left = old + 1, old_left - 1
        elif old_left and new_left and not line.startswith("\\"):
            lines.append(DiffLine(kind="same", text=line[1:], old=old, new=new))
            old, new, old_left, new_left = old + 1, new + 1, old_left - 1, new_left - 1
        elif line.strip() not in {"---", "+++"} and not line.startswith("\\"):
            lines.append(DiffLine(kind="file", text=line))
    return lines
