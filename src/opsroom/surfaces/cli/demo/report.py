"""The story's report: every number read back through the API from what was recorded."""

from __future__ import annotations

from typing import Any

from opsroom.surfaces.cli.demo.story import Story


def report(story: Story) -> dict[str, Any]:
    """The report as `opsroom demo --json` prints it. What did not come about is null or empty, never made up."""
    seen = story.seen
    return {
        "ok": all(step.done for step in story.steps) and bool(story.steps),
        "steps": [
            {"name": step.name, "done": step.done, "seconds": step.seconds, "detail": step.detail}
            for step in story.steps
        ],
        "pipelines": [
            {"id": run["id"], "conclusion": run["conclusion"], "seconds": run["seconds"]}
            for run in seen.get("pipelines", [])
        ],
        "deployments": _deployments(story),
        "alert": seen.get("alert"),
        "incident": _incident(story),
        "rollback": _rollback(seen),
        "ledger": seen.get("ledger"),
        "docs": {"pages": len(seen.get("docs", []))},
        "cost": _cost(seen),
        "areas": seen.get("areas", {}),
    }


def _deployments(story: Story) -> list[dict[str, Any]]:
    if not story.seen.get("first"):
        return []
    fields = ("version", "digest", "environment", "strategy", "requests", "failed", "service", "kind", "id")
    return [{name: one[name] for name in fields} for one in story.api.items("deployments", limit=100)]


def _incident(story: Story) -> dict[str, Any] | None:
    show = story.seen.get("incident")
    if show is None:
        return None
    pages = [
        {"provider": page["provider"], "delivered": page["delivered"]}
        for page in story.api.items("pages", incident=show["id"])
    ]
    return {
        "id": show["id"],
        "suspects": [{"change": one["change"], "score": one["score"]} for one in show["suspects"]],
        "seconds_to_detect": show["seconds_to_detect"],
        "seconds_to_recover": show["seconds_to_recover"],
        "pages": pages,
    }


def _rollback(seen: dict[str, Any]) -> dict[str, Any] | None:
    back = seen.get("rollback")
    return None if back is None else {"failed": back["failed"], "requests": back["requests"], "digest": back["digest"]}


def _cost(seen: dict[str, Any]) -> dict[str, Any] | None:
    cost = seen.get("cost")
    if cost is None:
        return None
    return {"runs": cost["runs"], "sum": cost["sum_micros"], "sum_of_parts": cost["sum_of_parts_micros"]}
