"""What a Python project says it is made of: lock files, requirements files, pyproject.toml."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from opsroom.areas.security.files import read_at

MOST_BYTES = 20_000_000
_REQUIREMENT = re.compile(
    r"""(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?) \s* (?:\[[^\]]*\])? \s* (?P<rest>.*)""",
    re.VERBOSE | re.DOTALL,
)
_PINNED = re.compile(r"\(?\s*={2,3}\s*([^\s,;)*]+)\s*\)?\s*(?:;.*)?")


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """A package by its normalised name (PEP 503); `version` "" where nothing pins it. `source` is the file that says so."""

    name: str
    version: str
    source: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that says what it is made of, and could not be read."""

    source: str
    why: str


def read_manifests(folder: int, names: list[str]) -> tuple[list[Package], list[Unreadable]]:
    """The packages that the files of an open folder name, each name and version once, sorted. A package that some file pins is
    given by its pinned versions alone."""
    packages: dict[tuple[str, str], Package] = {}
    unreadable = []
    for name in sorted(names):
        reader = _reader(name)
        content = read_at(folder, name, limit=MOST_BYTES) if reader else None
        if reader is None or content is None:
            continue
        if len(content) > MOST_BYTES:
            unreadable.append(Unreadable(name, f"larger than {MOST_BYTES} bytes"))
            continue
        try:
            found = list(reader(content.decode("utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            unreadable.append(
                Unreadable(name, f"cannot be read: {' '.join(str(error).split())[:200] or type(error).__name__}")
            )
            continue
        for package, version in found:
            packages.setdefault((package, version), Package(package, version, name))
    pinned = {name for name, version in packages if version}
    return sorted(one for one in packages.values() if one.version or one.name not in pinned), unreadable


def normal(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


Read = Callable[[str], Iterator[tuple[str, str]]]


def _reader(name: str) -> Read | None:
    for pattern, reader in _READERS:
        if fnmatchcase(name, pattern):
            return reader
    return None


def _requirements(text: str) -> Iterator[tuple[str, str]]:
    """Requirements file format of pip; options, links and local paths name no package of a registry."""
    for line in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(?:^|\s)#.*", "", line).strip()
        line = re.split(r"\s--hash[ =]", line)[0]
        if line and not line.startswith("-") and "://" not in line.split("@")[0] and not line.startswith((".", "/")):
            yield from _requirement(line)


def _requirement(text: str) -> Iterator[tuple[str, str]]:
    """One requirement (PEP 508); only `==` and `===` without a wildcard pin it."""
    found = _REQUIREMENT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:60]!r} is no requirement")
    pinned = _PINNED.fullmatch(found["rest"].strip())
    yield normal(found["name"]), pinned[1] if pinned else ""


def _pyproject(text: str) -> Iterator[tuple[str, str]]:
    for requirement in tomllib.loads(text).get("project", {}).get("dependencies", []):
        yield from _requirement(requirement)


def _toml_lock(text: str) -> Iterator[tuple[str, str]]:
    """uv.lock, poetry.lock and pdm.lock (`package`), pylock.toml of PEP 751 (`packages`); the project itself is left out."""
    value = tomllib.loads(text)
    for package in value.get("package", value.get("packages", [])):
        own = package.get("source", {})
        if (
            not (isinstance(own, dict) and {"virtual", "editable", "directory"} & own.keys())
            and "directory" not in package
        ):
            yield normal(package["name"]), str(package.get("version", ""))


def _pipfile_lock(text: str) -> Iterator[tuple[str, str]]:
    value: dict[str, Any] = json.loads(text)
    for section in ("default", "develop"):
        for name, given in value.get(section, {}).items():
            yield normal(name), str(given.get("version", "")).removeprefix("==")


_READERS: tuple[tuple[str, Read], ...] = (
    ("requirements*.txt", _requirements),
    ("requirements*.lock", _requirements),
    ("pyproject.toml", _pyproject),
    ("uv.lock", _toml_lock),
    ("poetry.lock", _toml_lock),
    ("pdm.lock", _toml_lock),
    ("pylock.toml", _toml_lock),
    ("pylock.*.toml", _toml_lock),
    ("Pipfile.lock", _pipfile_lock),
)
