"""Advisories in the OSV format (ossf.github.io/osv-schema), read from the folder layout of osv-scanner's offline databases."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsroom.areas.security.cvss import base_score
from opsroom.areas.security.ecosystems import version_class

MOST_RECORD_BYTES = 8_000_000
_NAME = re.compile(rb'"name"\s*:\s*"((?:[^"\\]|\\.)*)"')
_WORDS = {"critical": "critical", "high": "high", "moderate": "medium", "medium": "medium", "low": "low"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """One OSV record, as far as it is read. `affected` is the list as written."""

    id: str
    aliases: tuple[str, ...]
    summary: str
    severity: str
    affected: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A record that is not as the format says. `id` is its file's name without `.json`."""

    id: str
    why: str


def archive_of(folder: Path, ecosystem: str) -> Path | None:
    """`all.zip` of an ecosystem (`Debian:12`: its own, or that of the family); None: there is none."""
    for name in dict.fromkeys((ecosystem, ecosystem.partition(":")[0])):
        found = folder / "osv-scanner" / name / "all.zip"
        if "/" not in name and found.is_file():
            return found
    return None


def advisories_about(
    archive: Path, names: Collection[str], *, normal: Callable[[str], str] = str
) -> Iterator[Advisory | Unread]:
    """The advisories that name any of these packages, withdrawn ones left out. zipfile.BadZipFile: the archive is broken."""
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            id = entry.filename.rpartition("/")[2].removesuffix(".json")
            if entry.is_dir() or not entry.filename.endswith(".json"):
                continue
            if entry.file_size > MOST_RECORD_BYTES:
                yield Unread(id=id, why=f"larger than {MOST_RECORD_BYTES} bytes")
                continue
            content = opened.read(entry)
            if _may_name(content, names, normal):
                try:
                    record = json.loads(content)
                    if not record.get("withdrawn"):
                        yield read_advisory(record)
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                    yield Unread(id=id, why=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")


def read_advisory(record: Mapping[str, Any]) -> Advisory:
    """One record. KeyError, TypeError or ValueError where it is not as the format says."""
    affected = record.get("affected") or []
    if not isinstance(record["id"], str) or not isinstance(affected, list):
        raise TypeError("id is no text or affected is no list")
    return Advisory(
        id=record["id"], aliases=tuple(str(one) for one in record.get("aliases") or ()),
        summary=str(record.get("summary") or record.get("details") or "").strip().split("\n")[0][:300],
        severity=_severity(record), affected=tuple(affected),
    )  # fmt: skip


def is_affected(affected: Mapping[str, Any], version: str, *, versions: str) -> bool:
    """Whether an entry of `affected` is about this version, as the schema's section "Evaluation" says. ValueError: a version in it,
    or the one asked about, cannot be read."""
    if version in (affected.get("versions") or ()):
        return True
    for given in affected.get("ranges") or ():
        if given.get("type") == "GIT":
            continue
        order = version_class("SemverVersion" if given.get("type") == "SEMVER" else versions)
        if _in_range(given.get("events") or (), version, order):
            return True
    return False


def fixed_in(affected: Mapping[str, Any]) -> tuple[str, ...]:
    """The versions that mend it, as written."""
    ranges = (given for given in affected.get("ranges") or () if given.get("type") != "GIT")
    return tuple(
        dict.fromkeys(
            str(event["fixed"]) for given in ranges for event in given.get("events") or () if "fixed" in event
        )
    )


def _in_range(events: Collection[Mapping[str, str]], version: str, order: Any) -> bool:
    asked = order(version)
    limits = [event["limit"] for event in events if "limit" in event]
    if limits and not any(limit == "*" or asked < order(limit) for limit in limits):
        return False
    steps = sorted(
        ((kind, event[kind]) for event in events for kind in ("introduced", "fixed", "last_affected") if kind in event),
        key=lambda step: _Position(None if step[1] == "0" else order(step[1])),
    )
    inside = False
    for kind, at in steps:
        if kind == "introduced" and (at == "0" or asked >= order(at)):
            inside = True
        elif (kind == "fixed" and asked >= order(at)) or (kind == "last_affected" and asked > order(at)):
            inside = False
    return inside


@dataclass(frozen=True, slots=True)
class _Position:
    """A version in the order of events; None is "0", before all others."""

    at: Any

    def __lt__(self, other: _Position) -> bool:
        if self.at is None or other.at is None:
            return self.at is None and other.at is not None
        return bool(self.at < other.at)


def _may_name(content: bytes, names: Collection[str], normal: Callable[[str], str]) -> bool:
    for found in _NAME.finditer(content):
        # An escaped name is decided by reading the record.
        if b"\\" in found[1] or normal(found[1].decode("utf-8", "replace")) in names:
            return True
    return False


def _severity(record: Mapping[str, Any]) -> str:
    """As the database words it, else from a CVSS 3 vector, else high: what is not known is not taken lightly."""
    if record["id"].startswith("MAL-"):
        return "critical"
    places = [record, *(one for one in record.get("affected") or () if isinstance(one, Mapping))]
    for place in places:
        for field in ("database_specific", "ecosystem_specific"):
            word = (place.get(field) or {}).get("severity") if isinstance(place.get(field), Mapping) else None
            if isinstance(word, str) and word.lower() in _WORDS:
                return _WORDS[word.lower()]
    scores = [
        score
        for place in places
        for one in place.get("severity") or ()
        if isinstance(one, Mapping) and (score := base_score(str(one.get("score", "")))) is not None
    ]
    if not scores:
        return "high"
    worst = max(scores)
    return "critical" if worst >= 9 else "high" if worst >= 7 else "medium" if worst >= 4 else "low"
