"""The events of delivery, and how a person reads each."""

from __future__ import annotations

from opsroom.contracts.events import EventType

EVENTS = (
    EventType(
        name="change.pushed", sentence="{author} pushed {branch} of {repository}: {subject}", change=True,
        cdevents="dev.cdevents.change.merged",
    ),
    EventType(name="workflow.dispatched", sentence="{workflow} of {repository} started by hand by {actor}"),
    EventType(
        name="run.queued", sentence="{workflow_name} #{number} of {repository} queued", cdevents="dev.cdevents.pipelinerun.queued"
    ),
    EventType(
        name="run.started", sentence="{workflow_name} #{number} of {repository} started",
        cdevents="dev.cdevents.pipelinerun.started",
    ),
    EventType(
        name="run.finished", sentence="{workflow_name} #{number} of {repository}: {conclusion} after {seconds:.1f} s",
        cdevents="dev.cdevents.pipelinerun.finished",
    ),
    EventType(
        name="job.finished", sentence="job {name} of {workflow_name} #{number}: {conclusion} after {seconds:.1f} s",
        cdevents="dev.cdevents.taskrun.finished",
    ),
    EventType(
        name="artifact.published", sentence="{name} {version} published as {digest}",
        cdevents="dev.cdevents.artifact.published",
    ),
    EventType(
        name="tests.reported", sentence="tests of {commit}: {passed} passed, {failed} failed, {skipped} skipped",
        cdevents="dev.cdevents.testsuiterun.finished",
    ),
    EventType(name="deployment.started", sentence="{kind} of {service} {version} to {environment} began, {strategy}"),
    EventType(
        name="deployment.finished", sentence="{service} {version} to {environment}, {strategy} {kind} in {seconds:.1f} s",
        change=True, cdevents="dev.cdevents.service.deployed",
    ),
    EventType(name="deployment.failed", sentence="{kind} of {service} {version} to {environment} failed: {error}"),
    EventType(
        name="service.restarted", sentence="{service} {version} in {environment} ended and was started again: {last_line}"
    ),
)  # fmt: skip
