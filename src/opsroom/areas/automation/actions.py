"""What workflows may `uses:` from automation: opsroom/backup and opsroom/restore-test."""

from __future__ import annotations

from collections.abc import Mapping

from opsroom.areas.automation import backups
from opsroom.contracts.actions import Action, ActionCall, ActionInput

_BACKUP = ActionInput(name="backup", required=True, help="a Backup of the ops repo")


def backup(call: ActionCall) -> Mapping[str, str]:
    made = backups.make(call.call, call.inputs["backup"], key=call.key)
    call.port.log(f"{made.id}: {made.bytes} bytes, {made.digest}")
    return {"backup": made.id, "digest": made.digest, "bytes": str(made.bytes)}


def restore_test(call: ActionCall) -> Mapping[str, str]:
    newest = backups.newest(call.call.plane, call.inputs["backup"])
    call.port.log(f"restoring {newest.id} of {newest.made:%Y-%m-%d %H:%M} into a folder of its own")
    _, proof = backups.restore_test(call.call, newest, key=call.key)
    call.port.summary(
        f"Backup `{newest.id}` restored: {proof.events} events verified, {proof.members} members, {proof.tables} tables."
    )
    return {"verified": "true", "events": str(proof.events)}


ACTIONS = (
    Action(
        name="opsroom/backup",
        help="Makes a backup of Opsroom's own state, or of a folder, while it is in use.",
        inputs=(_BACKUP,),
        outputs={"backup": "its id", "digest": "of the archive", "bytes": "its size"},
        permission=("packages", "write"),
        run=backup,
    ),
    Action(
        name="opsroom/restore-test",
        help="Restores the newest backup into a folder of its own and proves that it holds.",
        inputs=(_BACKUP,),
        outputs={"verified": "true", "events": "of the ledger that verified"},
        permission=("packages", "read"),
        run=restore_test,
    ),
)
