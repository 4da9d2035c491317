"""The contexts expressions see: `github` with the event's payload, `inputs`, `vars`, `needs`, `strategy`, `matrix`.

Source: "Contexts reference" of the GitHub Actions documentation. What only the runner knows (`github.workspace`,
`github.event_path`, `runner`, `job`, `steps`, `secrets`) the runner adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsroom.workflows.expressions import to_text
from opsroom.workflows.model import Workflow
from opsroom.workflows.planning.events import TriggerEvent


def run_contexts(
    workflow: Workflow,
    event: TriggerEvent,
    *,
    run_id: str,
    number: int,
    attempt: int,
    variables: Mapping[str, str],
    server_url: str = "",
) -> dict[str, Any]:
    """`github`, `inputs` and `vars` of a run; the same for every job but for `github.job`."""
    owner = event.repository.rpartition("/")[0] or event.repository
    github = {
        "actor": event.actor,
        "triggering_actor": event.actor,
        "base_ref": event.base_ref,
        "head_ref": event.head_ref,
        "event": event_payload(event),
        "event_name": event.name,
        "ref": event.ref,
        "ref_name": ref_name(event.ref),
        "ref_protected": False,
        "ref_type": ref_type(event.ref),
        "repository": event.repository,
        "repository_owner": owner,
        "repositoryUrl": f"git://{event.repository}.git" if event.repository else "",
        "run_id": run_id,
        "run_number": str(number),
        "run_attempt": str(attempt),
        "server_url": server_url,
        "sha": event.commit,
        "workflow": workflow.name,
        "workflow_ref": f"{event.repository}/{workflow.path}@{event.ref}",
        "workflow_sha": event.commit,
        "workspace": "",
    }
    return {"github": github, "inputs": dict(event.inputs), "vars": dict(variables)}


def event_payload(event: TriggerEvent) -> dict[str, Any]:
    """`github.event`: the payload given, and where it lacks them the fields every webhook of this kind has."""
    owner, _, name = event.repository.rpartition("/")
    usual: dict[str, Any] = {
        "repository": {
            "name": name,
            "full_name": event.repository,
            "owner": {"login": owner},
            "default_branch": event.default_branch,
        },
        "sender": {"login": event.actor},
    }
    given: dict[str, Any] = dict(event.payload)
    if event.name == "push":
        usual |= {"ref": event.ref, "before": event.before, "after": event.commit}
    elif event.name == "workflow_dispatch":
        usual |= {"ref": event.ref, "inputs": {key: to_text(value) for key, value in event.inputs.items()}}
    elif event.name == "repository_dispatch":
        given = {"action": event.type, "client_payload": given}
    elif event.type:
        usual["action"] = event.type
    return usual | given


def ref_name(ref: str) -> str:
    """The short name: `main`, `v1`, `7/merge`."""
    for start in ("refs/heads/", "refs/tags/", "refs/pull/"):
        if ref.startswith(start):
            return ref.removeprefix(start)
    return ref


def ref_type(ref: str) -> str:
    """`tag`, or `branch` for all else ("" where there is no ref)."""
    if not ref:
        return ""
    return "tag" if ref.startswith("refs/tags/") else "branch"


def strategy_context(*, fail_fast: bool, index: int, total: int, max_parallel: int) -> dict[str, Any]:
    """The `strategy` context of one job of a matrix; `max_parallel` 0: no limit."""
    return {"fail-fast": fail_fast, "job-index": index, "job-total": total, "max-parallel": max_parallel or total}
