"""The kinds Host and ManagedFile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from opsroom.kernel.errors import Problem
from opsroom.kernel.resources import Catalog, Kind, Reference, Resource, Spec, Text

LONGEST_PATH = 1000


def check_path(path: str) -> str:
    """The path, or a ValueError: it must be relative, plain (no `.`, `..` or empty parts) and printable."""
    parts = path.split("/")
    if path.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        raise ValueError("not a path below the host's folder; write it relative, without `..`, as etc/motd")
    if not path.isprintable() or len(path) > LONGEST_PATH or any(len(part.encode()) > 255 for part in parts):
        raise ValueError("not a path; it may hold printable characters, 255 bytes a part, 1000 in all")
    return path


class HostSpec(Spec):
    """A machine whose files are decided in the ops repo; `folder` holds all of them."""

    address: Literal["local"]
    folder: Text
    unmanaged: Literal["ignore", "report"] = "ignore"


class ManagedFileSpec(Spec):
    """One file of a host as it should be. `mode` is given to code as four octal digits."""

    host: str
    path: Annotated[str, AfterValidator(check_path)]
    content: str | None = None
    source: str | None = None
    mode: Annotated[str, Field(pattern=r"^[0-7]{3,4}$"), AfterValidator(lambda mode: mode.zfill(4))] = "0644"
    state: Literal["present", "absent"] = "present"

    @model_validator(mode="after")
    def _one_content(self) -> ManagedFileSpec:
        given = [name for name in ("content", "source") if getattr(self, name) is not None]
        if len(given) > 1 or (not given and self.state == "present"):
            raise ValueError("give exactly one of content and source, or state: absent")
        return self


def _check_file(resource: Resource, catalog: Catalog) -> Iterable[Problem]:
    """Two files at one path, or one below another, cannot both be."""
    spec = resource.spec
    for other in catalog.all("ManagedFile"):
        if other.name >= resource.name or catalog.find("Host", other.spec.host) is not catalog.find("Host", spec.host):
            continue
        if other.spec.path == spec.path:
            yield Problem(
                resource.place_of("path"),
                f"{spec.path} is already ManagedFile {other.name} ({other.place})",
                "keep one of them",
            )
        elif _above(other.spec.path, spec.path) or _above(spec.path, other.spec.path):
            yield Problem(
                resource.place_of("path"), f"{spec.path} and {other.spec.path} ({other.place}) cannot both be files", "move one"
            )  # fmt: skip


def _above(folder: str, path: str) -> bool:
    return path.startswith(f"{folder}/")


HOST = Kind(name="Host", api_version="opsroom.dev/v1", model=HostSpec, area="configuration")
MANAGED_FILE = Kind(
    name="ManagedFile",
    api_version="opsroom.dev/v1",
    model=ManagedFileSpec,
    area="configuration",
    references=(Reference("host", "Host"), Reference("source", file=".")),
    check=_check_file,
)
KINDS = (HOST, MANAGED_FILE)
