"""Environments: what is live where, and what was."""

from __future__ import annotations

from opsroom.areas.delivery.environments import environment
from opsroom.areas.delivery.operations.deployments import list_deployments
from opsroom.areas.delivery.operations.environments import list_environments, show_environment
from opsroom.contracts.pages import PageRequest, View


def listing(asked: PageRequest) -> View:
    scope = asked.scope
    found = [one for one in list_environments(asked.call) if scope.environment in ("", one.name)]
    services = sorted(
        {entry.service for one in found for entry in one.services if scope.service in ("", entry.service)}
    )
    table = [
        {
            "service": name,
            "cells": [next((entry for entry in one.services if entry.service == name), None) for one in found],
        }
        for name in services
    ]
    return View(
        template="delivery/environments.html", values={"environments": found, "table": table}, title="Environments",
        api="/api/v1/environments", live=("deployment.", "service.", "catalog."),
    )  # fmt: skip


def show(asked: PageRequest) -> View:
    call, id = asked.call, asked.params["id"]
    view = show_environment(call, id)
    page = list_deployments(call, environment=id, service=asked.scope.service, after=asked.query.get("after", ""))
    return View(
        template="delivery/environment.html",
        values={"environment": view, "deployments": page.items, "next": page.next},
        title=view.name,
        code=environment(call.plane, id).place,
        api=f"/api/v1/environments/{id}",
        live=("deployment.", "service.", "catalog."),
    )
