"""How a package URL is called in OSV: its ecosystem, its name there, and how its versions are ordered.

Sources: the OSV schema's list of ecosystems (ossf.github.io/osv-schema, "Defined ecosystems") and the package URL types.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsroom.areas.security.manifests import normal

if TYPE_CHECKING:
    from packageurl import PackageURL


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A package as advisories name it. `versions` is the class of univers that orders its versions."""

    ecosystem: str
    name: str
    versions: str


def known_as(purl: PackageURL) -> Known | None:
    """Where advisories of this package stand; None: no ecosystem of OSV covers its type."""
    make = _BY_TYPE.get(purl.type)
    return make(purl) if make else None


def version_class(name: str) -> Any:
    """A class of univers; its values compare, and a text it cannot read is a ValueError."""
    import univers.versions

    return getattr(univers.versions, name)


def _plain(ecosystem: str, versions: str, separator: str = "/") -> Callable[[PackageURL], Known]:
    def make(purl: PackageURL) -> Known:
        name = f"{purl.namespace}{separator}{purl.name}" if purl.namespace else str(purl.name)
        return Known(ecosystem=ecosystem, name=name, versions=versions)

    return make


def _pypi(purl: PackageURL) -> Known:
    return Known(ecosystem="PyPI", name=normal(purl.name), versions="PypiVersion")


def _release(family: str, versions: str) -> Callable[[PackageURL], Known]:
    """Distributions: the ecosystem carries the release, as `Debian:12`, where the URL names it."""

    def make(purl: PackageURL) -> Known | None:
        distro = str((purl.qualifiers or {}).get("distro", "")).lower().removeprefix(f"{family.lower()}-")
        release = distro.split(".")[0] if family == "Debian" else distro
        if family == "Alpine" and release:
            release = "v" + ".".join(release.removeprefix("v").split(".")[:2])
        return Known(ecosystem=f"{family}:{release}" if release else family, name=str(purl.name), versions=versions)

    return make  # type: ignore[return-value]


def _generic(purl: PackageURL) -> Known | None:
    """Of programs outside of any registry the Python runtime is covered: by Bitnami's advisories."""
    return Known(ecosystem="Bitnami", name="python", versions="SemverVersion") if purl.name == "python" else None


_BY_TYPE: dict[str, Callable[[PackageURL], Known | None]] = {
    "pypi": _pypi,
    "npm": _plain("npm", "SemverVersion"),
    "maven": _plain("Maven", "MavenVersion", ":"),
    "golang": _plain("Go", "GolangVersion"),
    "cargo": _plain("crates.io", "SemverVersion"),
    "nuget": _plain("NuGet", "NugetVersion"),
    "gem": _plain("RubyGems", "RubygemsVersion"),
    "composer": _plain("Packagist", "ComposerVersion"),
    "hex": _plain("Hex", "SemverVersion"),
    "bitnami": _plain("Bitnami", "SemverVersion"),
    "deb": _release("Debian", "DebianVersion"),
    "apk": _release("Alpine", "AlpineLinuxVersion"),
    "generic": _generic,
}
