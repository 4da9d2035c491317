"""The packages of a bill of materials held against advisories: what is weak, and what could not be checked."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from opsroom.areas.security.advisories import Advisory, Unread, advisories_about, archive_of, fixed_in, is_affected
from opsroom.areas.security.ecosystems import Known, known_as, version_class
from opsroom.areas.security.manifests import normal
from opsroom.areas.security.model import EVERYTHING, Found, Result, Unchecked, merge
from opsroom.areas.security.sbom import Bill, Component

if TYPE_CHECKING:
    from packageurl import PackageURL

_PREFERRED = ("CVE-", "GHSA-", "PYSEC-")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Package:
    purl: str
    version: str
    known: Known


def match_bill(bill: Bill, folder: Path, *, cancelled: Callable[[], bool] = lambda: False) -> Result:
    """Holds every component against the advisories in `folder`. A component that no advisory data covers is unchecked, never clean."""
    unchecked = [Unchecked(what=EVERYTHING, why=f"the bill of materials is not whole: {gap}") for gap in bill.gaps]
    by_ecosystem: dict[str, list[_Package]] = defaultdict(list)
    for component in bill.components:
        placed = _place(component)
        if isinstance(placed, Unchecked):
            unchecked.append(placed)
        else:
            by_ecosystem[placed.known.ecosystem].append(placed)
    if not bill.components:
        unchecked.append(Unchecked(what=EVERYTHING, why="the bill of materials lists no component"))
    found: list[Found] = []
    looked_at = 0
    for ecosystem, packages in sorted(by_ecosystem.items()):
        if cancelled():
            unchecked.append(Unchecked(what=f"ecosystem:{ecosystem}", why="the run was cancelled"))
            continue
        matched = list(_match(ecosystem, packages, folder))
        found += [one for one in matched if isinstance(one, Found)]
        blind = [one for one in matched if isinstance(one, Unchecked)]
        unchecked += blind
        looked_at += 0 if any(one.what == f"ecosystem:{ecosystem}" for one in blind) else len(packages)
    return Result(found=merge(_joined(found)), unchecked=tuple(dict.fromkeys(unchecked)), looked_at=looked_at)


def bare(purl: PackageURL) -> str:
    """A package URL without its version, which names the package through all of them."""
    from packageurl import PackageURL

    name = normal(purl.name) if purl.type == "pypi" else purl.name
    return str(PackageURL(type=purl.type, namespace=purl.namespace, name=name).to_string())


def _place(component: Component) -> _Package | Unchecked:
    from packageurl import PackageURL

    label = component.purl or f"component:{component.name}"
    try:
        purl = PackageURL.from_string(component.purl)
    except ValueError:
        return Unchecked(
            what=label, why="has no package URL" if not component.purl else "its package URL cannot be read"
        )
    name, known = bare(purl), known_as(purl)
    version = purl.version or component.version
    if known is None:
        return Unchecked(what=name, why=f"no OSV ecosystem covers packages of type {purl.type}")
    if known.ecosystem in ("Debian", "Alpine"):
        return Unchecked(what=name, why=f"its package URL names no release of {known.ecosystem} (distro=)")
    if not version:
        return Unchecked(what=name, why="no file pins its version; pin it with == or a lock file")
    try:
        version_class(known.versions)(version)
    except ValueError:
        return Unchecked(what=name, why=f"version {version} is no version of {known.ecosystem}")
    return _Package(purl=name, version=version, known=known)


def _match(ecosystem: str, packages: list[_Package], folder: Path) -> Iterator[Found | Unchecked]:
    archive = archive_of(folder, ecosystem)
    if archive is None:
        where = folder / "osv-scanner" / ecosystem / "all.zip"
        yield Unchecked(
            what=f"ecosystem:{ecosystem}", why=f"no advisory data for {ecosystem}; put OSV's all.zip of it at {where}"
        )
        return
    standard = normal if ecosystem == "PyPI" else str
    by_name: dict[str, list[_Package]] = defaultdict(list)
    for package in packages:
        by_name[package.known.name].append(package)
    try:
        for advisory in advisories_about(archive, by_name, normal=standard):
            if isinstance(advisory, Unread):
                yield Unchecked(what=f"advisory:{advisory.id}", why=advisory.why)
            else:
                yield from _affected(advisory, by_name, standard)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        yield Unchecked(what=f"ecosystem:{ecosystem}", why=f"{archive} cannot be read: {error}; fetch it again")


def _affected(
    advisory: Advisory, by_name: dict[str, list[_Package]], standard: Callable[[str], str]
) -> Iterator[Found | Unchecked]:
    for entry in advisory.affected:
        named = entry.get("package") or {}
        for package in by_name.get(standard(str(named.get("name", ""))), ()):
            if named.get("ecosystem") != package.known.ecosystem:
                continue
            try:
                if is_affected(entry, package.version, versions=package.known.versions):
                    yield _found(advisory, package, fixed_in(entry))
            except (ValueError, TypeError, AttributeError) as error:
                why = f"its versions cannot be read: {' '.join(str(error).split())[:200]}"
                yield Unchecked(what=f"advisory:{advisory.id}", why=why)


def _found(advisory: Advisory, package: _Package, fixed: tuple[str, ...]) -> Found:
    names = sorted({advisory.id, *advisory.aliases}, key=_rank)
    return Found(
        fingerprint=f"{package.purl}#{names[0]}", also=tuple(f"{package.purl}#{name}" for name in names),
        rule=advisory.id, severity=advisory.severity,
        title=f"{package.purl.partition('/')[2]} {package.version}: {advisory.summary or advisory.id}"[:300],
        places=(f"{package.purl}@{package.version}",),
        covers=(f"ecosystem:{package.known.ecosystem}", package.purl, f"advisory:{advisory.id}"),
        fix=f"update to {' or '.join(fixed)}" if fixed else "no version mends it yet; replace the package, or accept it by a waiver",
    )  # fmt: skip


def _joined(found: Iterable[Found]) -> list[Found]:
    """Advisories of several databases about one weakness, known from each other's aliases, under one fingerprint."""
    groups: list[tuple[set[str], list[Found]]] = []
    for one in found:
        names, members = {one.fingerprint, *one.also}, [one]
        apart = []
        for other_names, other_members in groups:
            if names & other_names:
                names |= other_names
                members = other_members + members
            else:
                apart.append((other_names, other_members))
        groups = [*apart, (names, members)]
    joined = []
    for names, members in groups:
        best = min(names, key=lambda name: _rank(name.partition("#")[2]))
        joined += [replace(one, fingerprint=best, also=tuple(sorted(names))) for one in members]
    return joined


def _rank(name: str) -> tuple[int, str]:
    return next((rank for rank, prefix in enumerate(_PREFERRED) if name.startswith(prefix)), len(_PREFERRED)), name
