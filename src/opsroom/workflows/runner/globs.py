"""File patterns as actions take them: `*`, `?`, `[…]`, `**`, one a line, `!` to leave out, `#` for a comment; and hashFiles.

Source: the pattern rules of @actions/glob, and `hashFiles` in "Evaluate expressions in workflows and actions".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from opsroom.workflows.runner.beneath import Entry, Folder

_MAGIC = re.compile(r"[*?\[]")


def translate(pattern: str) -> re.Pattern[str]:
    """A pattern with `/` between parts as a regular expression over relative paths; it also matches all below what it names."""
    parts = [part for part in pattern.strip("/").split("/") if part not in ("", ".")]
    text = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            text += "(?:.*)" if last else "(?:[^/]+/)*"
        else:
            text += _part(part) + ("" if last else "/")
    return re.compile(f"{text}(?:/.*)?" if text else ".*", re.DOTALL)


def literal_head(pattern: str) -> str:
    """The folders a pattern names before its first wildcard."""
    head = []
    for part in pattern.split("/"):
        if _MAGIC.search(part):
            break
        head.append(part)
    return "/".join(head)


def lines(text: str) -> tuple[list[str], list[str]]:
    """The patterns of a multi-line input: those to take, and those to leave out."""
    wanted, unwanted = [], []
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("!"):
            unwanted.append(line[1:].strip())
        elif line and not line.startswith("#"):
            wanted.append(line)
    return wanted, unwanted


def matching(folder: Folder, wanted: Iterable[str], unwanted: Iterable[str] = ()) -> Iterator[Entry]:
    """Files of `folder` that one of `wanted` matches and none of `unwanted`, by path; links are entries, never followed."""
    take, leave = [translate(one) for one in wanted], [translate(one) for one in unwanted]
    for entry in folder.walk():
        if any(one.fullmatch(entry.path) for one in take) and not any(one.fullmatch(entry.path) for one in leave):
            yield entry


def hash_files(workspace: Path, patterns: Iterable[str]) -> str:
    """SHA-256 over the SHA-256 of each matching file in the order of their paths; "" where none matches."""
    wanted: list[str] = []
    unwanted: list[str] = []
    for pattern in patterns:
        (unwanted if pattern.startswith("!") else wanted).append(pattern.removeprefix("!").strip())
    whole, found = hashlib.sha256(), False
    with Folder(workspace) as folder:
        for entry in matching(folder, wanted, unwanted):
            if entry.kind == "file":
                found = True
                whole.update(folder.digest(entry.path))
    return whole.hexdigest() if found else ""


def _part(part: str) -> str:
    text, index = "", 0
    while index < len(part):
        character = part[index]
        index += 1
        if character == "*":
            text += "[^/]*"
        elif character == "?":
            text += "[^/]"
        elif character == "[" and "]" in part[index + 1 :]:
            end = part.index("]", index + 1)
            inner = part[index:end].replace("\\", "\\\\")
            text += f"[^{inner[1:]}]" if inner[0] in "!^" else f"[{inner}]"
            index = end + 1
        else:
            text += re.escape(character)
    return text
