"""The files a step writes to: GITHUB_ENV, GITHUB_OUTPUT, GITHUB_STATE, GITHUB_PATH and GITHUB_STEP_SUMMARY.

Source: "Workflow commands for GitHub Actions", environment files. A file that breaks its format fails the step.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from opsroom.kernel.errors import Invalid

NAMES = ("env", "output", "path", "state", "summary")
VARIABLES = {
    "env": "GITHUB_ENV",
    "output": "GITHUB_OUTPUT",
    "path": "GITHUB_PATH",
    "state": "GITHUB_STATE",
    "summary": "GITHUB_STEP_SUMMARY",
}
BLOCKED = frozenset({"NODE_OPTIONS"})
_FILE_LIMIT = 16_000_000
_SUMMARY_LIMIT = 1024 * 1024


class SummaryTooLarge(Invalid):
    """A summary is larger than what is kept."""


def read_pairs(path: Path, variable: str) -> dict[str, str]:
    """`name=value` lines and `name<<DELIMITER` blocks of a file; Invalid with the line where the format breaks."""
    text = _read(path, variable)
    return parse_pairs(text, variable) if text else {}


def parse_pairs(text: str, variable: str) -> dict[str, str]:
    """As `read_pairs`, of a text."""
    pairs: dict[str, str] = {}
    lines = text.split("\n")
    index = 0
    while index < len(lines):
        line = lines[index].removesuffix("\r")
        index += 1
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            name, value = line[:equals], line[equals + 1 :]
        elif heredoc >= 0:
            name, delimiter = line[:heredoc], line[heredoc + 2 :]
            if not name or not delimiter:
                raise Invalid(f"{variable}: invalid format {line!r}; neither name nor delimiter may be empty")
            value, index = _block(lines, index, delimiter, variable)
        else:
            raise Invalid(f"{variable}: invalid format {line!r}; write name=value, or name<<DELIMITER and its lines")
        if not name:
            raise Invalid(f"{variable}: invalid format {line!r}; the name must not be empty")
        pairs[name] = value
    return pairs


def read_paths(path: Path) -> tuple[str, ...]:
    """The folders of GITHUB_PATH, in the order written."""
    return tuple(line.strip() for line in _read(path, "GITHUB_PATH").splitlines() if line.strip())


def read_summary(path: Path) -> str:
    """The Markdown of GITHUB_STEP_SUMMARY; Error: SummaryTooLarge."""
    try:
        size = path.lstat().st_size
    except FileNotFoundError:
        return ""
    if size > _SUMMARY_LIMIT:
        raise SummaryTooLarge(
            f"GITHUB_STEP_SUMMARY holds {size // 1024} KiB; at most {_SUMMARY_LIMIT // 1024} KiB are kept, so it is left out"
        )
    return _read(path, "GITHUB_STEP_SUMMARY")


def _block(lines: list[str], index: int, delimiter: str, variable: str) -> tuple[str, int]:
    for end in range(index, len(lines)):
        if lines[end].removesuffix("\r") == delimiter:
            return "\n".join(lines[index:end]), end + 1
    raise Invalid(f"{variable}: matching delimiter not found {delimiter!r}; end the block with that line")


def _read(path: Path, variable: str) -> str:
    """What the file holds. The job owns it, so a link, a pipe or a giant in its place is refused, not followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Invalid(
            f"{variable}: {path.name} is no ordinary file ({error.strerror}); write to it, do not replace it"
        ) from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Invalid(f"{variable}: {path.name} is no ordinary file; write to it, do not replace it")
        raw = os.read(descriptor, _FILE_LIMIT + 1) if found.st_size else b""
    finally:
        os.close(descriptor)
    if len(raw) > _FILE_LIMIT:
        raise Invalid(
            f"{variable} holds more than {_FILE_LIMIT // 1_000_000} MB; write large data to a file or an artifact"
        )
    return raw.decode("utf-8-sig", "replace")
