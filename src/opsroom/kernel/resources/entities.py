"""The kernel's own kinds: Backstage's catalog entities and Variables.

Source: the Backstage descriptor format, backstage.io/docs/features/software-catalog/descriptor-format.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from opsroom.kernel.resources.fields import OpenSpec, Spec, Text
from opsroom.kernel.resources.model import Kind, Reference

REPOSITORY = "opsroom.dev/repository"
ENGINE = "opsroom.dev/engine"
NETWORK = "opsroom.dev/network"
RUNBOOK = "opsroom.dev/runbook"


class Component(OpenSpec):
    """A piece of software."""

    type: Text
    lifecycle: Text
    owner: Text
    system: Text | None = None
    subcomponent_of: Text | None = None
    provides_apis: tuple[Text, ...] = ()
    consumes_apis: tuple[Text, ...] = ()
    depends_on: tuple[Text, ...] = ()
    dependency_of: tuple[Text, ...] = ()


class API(OpenSpec):
    """An interface that components provide and consume. `definition` may be a map `{"$text": URL}`."""

    type: Text
    lifecycle: Text
    owner: Text
    definition: Text | Mapping[str, str]
    system: Text | None = None


class ResourceEntity(OpenSpec):
    """Infrastructure that components need, such as a database."""

    type: Text
    owner: Text
    system: Text | None = None
    depends_on: tuple[Text, ...] = ()
    dependency_of: tuple[Text, ...] = ()


class System(OpenSpec):
    """Components, APIs and resources that serve one purpose."""

    owner: Text
    domain: Text | None = None
    type: Text | None = None


class Domain(OpenSpec):
    """Systems of one part of the business."""

    owner: Text
    subdomain_of: Text | None = None
    type: Text | None = None


class Profile(OpenSpec):
    """What people see of a group or a user."""

    display_name: str = ""
    email: str = ""
    picture: str = ""


class Group(OpenSpec):
    """A team or a larger unit. Members are those listed here and the users whose `memberOf` names it."""

    type: Text
    children: tuple[Text, ...]
    parent: Text | None = None
    members: tuple[Text, ...] = ()
    profile: Profile = Profile()


class User(OpenSpec):
    """A person."""

    member_of: tuple[Text, ...] = ()
    profile: Profile = Profile()


class Location(OpenSpec):
    """A pointer to other files. Files of this repository are found without it; targets elsewhere are not fetched."""

    type: Text | None = None
    target: Text | None = None
    targets: tuple[Text, ...] = ()
    presence: Text | None = None


class Variables(Spec):
    """Values for `${{ vars.NAME }}`."""

    values: Mapping[Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")], bool | int | float | str]


_OWNER = Reference("owner", "Group", "User")
_SYSTEM = Reference("system", "System")
_NEEDS = (Reference("dependsOn[]", "Component", "Resource"), Reference("dependencyOf[]", "Component", "Resource"))


def _backstage(name: str, model: type[OpenSpec], *references: Reference, plural: str = "") -> Kind:
    return Kind(
        name=name, api_version="backstage.io/v1alpha1", also=("backstage.io/v1beta1",), model=model, plural=plural,
        references=references,
    )  # fmt: skip


KINDS: tuple[Kind, ...] = (
    _backstage(
        "Component", Component, _OWNER, _SYSTEM, Reference("subcomponentOf", "Component"), *_NEEDS,
        Reference("providesApis[]", "API"), Reference("consumesApis[]", "API"),
    ),
    _backstage("API", API, _OWNER, _SYSTEM),
    _backstage("Resource", ResourceEntity, _OWNER, _SYSTEM, *_NEEDS),
    _backstage("System", System, _OWNER, Reference("domain", "Domain")),
    _backstage("Domain", Domain, _OWNER, Reference("subdomainOf", "Domain")),
    _backstage(
        "Group", Group, Reference("children[]", "Group"), Reference("parent", "Group"), Reference("members[]", "User")
    ),
    _backstage("User", User, Reference("memberOf[]", "Group")),
    _backstage("Location", Location),
    Kind(name="Variables", api_version="opsroom.dev/v1", model=Variables, plural="Variables"),
)  # fmt: skip
"""What every catalog knows, before any area adds to it."""
