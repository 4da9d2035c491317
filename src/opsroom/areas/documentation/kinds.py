"""The kinds Runbook and Document: Markdown with front matter, known by their paths."""

from __future__ import annotations

from opsroom.kernel.resources import Day, Kind, Reference, Spec


class RunbookSpec(Spec):
    """The front matter of a runbook."""

    title: str
    alerts: tuple[str, ...] = ()
    service: str
    workflow: str = ""
    owner: str = ""
    reviewed: Day | None = None


class DocumentSpec(Spec):
    """The front matter of a document."""

    title: str = ""
    service: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()


RUNBOOK = Kind(
    name="Runbook",
    api_version="opsroom.dev/v1",
    model=RunbookSpec,
    area="documentation",
    where=("runbooks/*.md",),
    references=(
        Reference("service", "Component"),
        Reference("workflow", file=".opsroom/workflows/"),
        Reference("owner", "Group", "User"),
    ),
)
DOCUMENT = Kind(
    name="Document",
    api_version="opsroom.dev/v1",
    model=DocumentSpec,
    area="documentation",
    where=("docs/*.md",),
    references=(Reference("service", "Component"), Reference("owner", "Group", "User")),
)
KINDS = (RUNBOOK, DOCUMENT)
