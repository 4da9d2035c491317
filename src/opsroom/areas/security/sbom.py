"""Bills of materials: CycloneDX 1.6 JSON written for a Python project, and any CycloneDX JSON read for its components."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsroom.areas.security.manifests import Package, Unreadable
from opsroom.kernel.errors import Invalid
from opsroom.kernel.settings import child_environment

if TYPE_CHECKING:
    from cyclonedx.model.component import Component as CdxComponent

MOST_COMPONENTS = 50_000
_NAMESPACE = uuid.UUID("7d1b0d6e-6f0e-5b0e-9d53-6f7073726f6f")


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A component of a bill. `purl` "" where the bill gives none."""

    name: str
    version: str
    purl: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a bill says: the name of the whole, its parts without the whole itself, and what it says it does not know."""

    name: str
    components: tuple[Component, ...]
    gaps: tuple[str, ...]


def write_bill(
    name: str, version: str, packages: Iterable[Package], *, python: str = "", unreadable: Iterable[Unreadable] = ()
) -> bytes:
    """A CycloneDX 1.6 document of an application, its packages and the Python that runs it ("" : unknown). Files that could not be
    read are named in it, as a composition that is incomplete. The same content gives the same bytes: it holds no time."""
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component as Made
    from cyclonedx.model.component import ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion
    from packageurl import PackageURL

    gaps = [f"{one.source}: {one.why}" for one in unreadable]
    purl = PackageURL(type="generic", name=name, version=version or None)
    whole = Made(name=name, version=version or None, type=ComponentType.APPLICATION, bom_ref=str(purl), purl=purl)
    parts = [_part(package) for package in packages]
    if python:
        runtime = PackageURL(type="generic", name="python", version=python)
        parts.append(
            Made(name="python", version=python, type=ComponentType.PLATFORM, bom_ref=str(runtime), purl=runtime)
        )
    bom = Bom(components=parts, properties=[Property(name="opsroom:unreadable", value=gap) for gap in gaps])
    bom.metadata.component = whole
    bom.register_dependency(whole, parts)
    seed = json.dumps([name, version, sorted(str(part.purl) for part in parts), gaps])
    bom.serial_number = uuid.uuid5(_NAMESPACE, seed)
    value = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    value["metadata"].pop("timestamp", None)
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read_bill(content: bytes, source: str) -> Bill:
    """The components of a CycloneDX JSON document of any version, nested ones too. Invalid names what is wrong."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{source} is no JSON: {error}") from None
    if not isinstance(value, dict) or value.get("bomFormat") != "CycloneDX":
        raise Invalid(f"{source} is no CycloneDX document: bomFormat is not CycloneDX; opsroom/sbom writes one")
    listed = value.get("components", [])
    components = tuple(_components(listed, source)) if isinstance(listed, list) else None
    if components is None:
        raise Invalid(f"{source}: components is no list")
    metadata = value.get("metadata")
    whole = metadata.get("component") if isinstance(metadata, dict) else None
    properties = value.get("properties", [])
    gaps = [
        str(one.get("value", ""))
        for one in (properties if isinstance(properties, list) else [])
        if isinstance(one, dict) and one.get("name") == "opsroom:unreadable"
    ]
    return Bill(
        name=str(whole.get("name", "")) if isinstance(whole, dict) else "", components=components, gaps=tuple(gaps)
    )


def installed_python() -> str:
    """The version of the `python3` that a deployed service finds on its PATH; "" where there is none."""
    environment = child_environment()
    found = shutil.which("python3", path=environment.get("PATH"))
    if found is None:
        return ""
    try:
        asked = subprocess.run(
            [found, "-I", "-c", "import platform; print(platform.python_version())"], capture_output=True, text=True,
            timeout=10, env=environment, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


def _part(package: Package) -> CdxComponent:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component as Made
    from packageurl import PackageURL

    purl = PackageURL(type="pypi", name=package.name, version=package.version or None)
    source = Property(name="opsroom:source", value=package.source)
    return Made(name=package.name, version=package.version or None, bom_ref=str(purl), purl=purl, properties=[source])


def _components(listed: list[Any], source: str) -> Iterator[Component]:
    waiting, count = list(listed), 0
    while waiting:
        one = waiting.pop(0)
        count += 1
        if not isinstance(one, Mapping) or not isinstance(one.get("name"), str):
            raise Invalid(f"{source}: components[{count - 1}] has no name")
        if count > MOST_COMPONENTS:
            raise Invalid(f"{source} has more than {MOST_COMPONENTS} components; scan its parts by themselves")
        yield Component(name=one["name"], version=str(one.get("version") or ""), purl=str(one.get("purl") or ""))
        nested = one.get("components", [])
        waiting[:0] = nested if isinstance(nested, list) else []
