"""What workflows may `uses:` to deploy: opsroom/deploy and opsroom/rollback."""

from __future__ import annotations

from collections.abc import Mapping

from opsroom.areas.delivery.operations.deployments import rollback_target, wish_for
from opsroom.areas.delivery.running import deployer
from opsroom.contracts.actions import Action, ActionCall, ActionFailed, ActionInput
from opsroom.kernel.errors import UserError

_SERVICE = ActionInput(name="service", required=True, help="the Component to deploy")
_ENVIRONMENT = ActionInput(name="environment", required=True, help="the Environment to deploy it to")


def deploy(call: ActionCall) -> Mapping[str, str]:
    """Deploys a digest; the key makes a second call go on with the same deployment."""
    inputs = call.inputs
    try:
        wish = wish_for(
            call.call, service=inputs["service"], environment=inputs["environment"], digest=inputs["digest"],
            strategy=inputs.get("strategy", ""), key=call.key, run=call.run,
        )  # fmt: skip
        done = deployer(call.call.plane).deploy(wish, call.port.log, call.port.cancelled)
    except UserError as error:
        raise ActionFailed(str(error)) from None
    return {"deployment": done.id, "url": done.url, "version": done.version}


def rollback(call: ActionCall) -> Mapping[str, str]:
    """Deploys what ran before, or the digest given, without a rebuild."""
    inputs = call.inputs
    try:
        digest = inputs.get("digest") or rollback_target(
            call.call.plane, inputs["service"], inputs["environment"], key=call.key
        )
        wish = wish_for(
            call.call, service=inputs["service"], environment=inputs["environment"], digest=digest, strategy="",
            key=call.key, run=call.run, kind="rollback", incident=inputs.get("incident", ""),
        )  # fmt: skip
        done = deployer(call.call.plane).deploy(wish, call.port.log, call.port.cancelled)
    except UserError as error:
        raise ActionFailed(str(error)) from None
    return {"deployment": done.id, "digest": done.digest, "version": done.version}


DEPLOY_ACTIONS = (
    Action(
        name="opsroom/deploy",
        help="Deploys an artefact by its digest and waits until it serves.",
        inputs=(
            _SERVICE,
            _ENVIRONMENT,
            ActionInput(name="digest", required=True, help="the artefact, sha256:…"),
            ActionInput(name="strategy", help="recreate, rolling or blue-green; default: the environment's"),
        ),
        outputs={"deployment": "its id", "url": "where it serves", "version": "first 12 characters of the commit"},
        permission=("deployments", "write"),
        run=deploy,
    ),
    Action(
        name="opsroom/rollback",
        help="Deploys the digest that ran before, without a rebuild.",
        inputs=(
            _SERVICE,
            _ENVIRONMENT,
            ActionInput(name="digest", help="an earlier artefact; default: what ran before"),
            ActionInput(name="incident", help="the incident this belongs to"),
        ),
        outputs={"deployment": "its id", "digest": "what runs now", "version": "first 12 characters of the commit"},
        permission=("deployments", "write"),
        run=rollback,
    ),
)
