"""Plan and apply through the operations: what is approved is what is applied, and the plan right after is empty."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from configuration_room import FILE, HOST, MOTD, Room

from opsroom.areas.configuration import operations as o
from opsroom.areas.configuration.reading import FolderReader
from opsroom.kernel.actors import Actor, Grant
from opsroom.kernel.errors import Conflict, Forbidden, NotFound, Unavailable
from opsroom.kernel.plan import Plan

SCRIPT = FILE.replace("NAME", "script").replace("PATH", "bin/hello") + "  source: files/hello\n  mode: '0755'\n"
GONE = FILE.replace("NAME", "old").replace("PATH", "etc/old") + "  state: absent\n"
OPS = {"opsroom/hosts.yaml": HOST + MOTD + SCRIPT + GONE, "files/hello": "#!/bin/sh\necho hello\n"}


def test_a_plan_is_applied_as_it_was_approved_and_the_next_one_is_empty(room: Room) -> None:
    room.put("etc/old", "of yesterday\n")
    room.offer(OPS)
    plan = o.create_plan(room.call, target="here")
    assert [(change.verb, change.name) for change in plan.changes] == [
        ("create", "bin/hello"), ("create", "etc/motd"), ("delete", "etc/old")
    ]  # fmt: skip
    assert plan.changes[2].risk == "the file is deleted"
    done = o.apply_stored_plan(room.call, plan.id, digest=plan.digest)
    assert done.state == "applied" and done.applied_by == "system:test"
    assert (room.folder / "etc/motd").read_text() == "Welcome.\n"
    assert (room.folder / "bin/hello").stat().st_mode & 0o7777 == 0o755
    assert not (room.folder / "etc/old").exists()
    again = o.create_plan(room.call, target="here")
    assert again.changes == [] and again.state == "empty"


def test_what_was_done_is_told_with_its_cause(room: Room) -> None:
    room.put("etc/old", "of yesterday\n")
    room.offer(OPS)
    plan = o.create_plan(room.call, target="here")
    o.apply_stored_plan(room.call, plan.id, digest=plan.digest)
    o.apply_stored_plan(room.call, plan.id, digest=plan.digest)
    planned, applied = room.events("configuration.planned"), room.events("configuration.applied")
    assert [event.data["path"] for event in applied] == ["bin/hello", "etc/motd", "etc/old"]
    assert len(planned) == 1 and all(event.cause == planned[0].id for event in applied)
    assert all(room.reaches_push(event) for event in applied)
    assert {"host:here", "file:etc/motd"} <= set(applied[1].subjects)


def test_a_commit_is_planned_by_itself_and_never_applied(room: Room) -> None:
    room.offer(OPS)
    (stored,) = o.list_plans(room.call).items
    assert stored.state == "planned" and stored.created_by == "system:configuration"
    assert not room.folder.exists()
    assert o.create_plan(room.call, target="here").id == stored.id, "the same plan again is the one that is open"


def test_a_newer_plan_takes_the_place_of_the_older(room: Room) -> None:
    room.offer(OPS)
    first = o.create_plan(room.call, target="here")
    room.offer({**OPS, "files/hello": "#!/bin/sh\necho again\n"})
    with pytest.raises(Conflict, match="superseded"):
        o.apply_stored_plan(room.call, first.id, digest=first.digest)


def test_another_digest_is_refused(room: Room) -> None:
    room.offer(OPS)
    plan = o.create_plan(room.call, target="here")
    with pytest.raises(Conflict, match="look at it again"):
        o.apply_stored_plan(room.call, plan.id, digest="sha256:" + "0" * 64)
    assert not room.folder.exists()


def test_a_file_that_moved_stops_what_is_not_yet_done(room: Room) -> None:
    room.put("etc/motd", "Before.\n")
    room.offer(OPS)
    plan = o.create_plan(room.call, target="here")
    room.put("etc/motd", "Someone was quicker.\n")
    with pytest.raises(Conflict, match="moved since"):
        o.apply_stored_plan(room.call, plan.id, digest=plan.digest)
    assert (room.folder / "etc/motd").read_text() == "Someone was quicker.\n"
    shown = o.show_plan(room.call, plan.id)
    assert shown.state == "stopped" and "etc/motd" in shown.reason


def test_an_ops_repo_that_moved_on_is_not_applied_under_an_old_approval(room: Room) -> None:
    room.offer(OPS)
    part = o.create_plan(room.call, target="here", paths=["etc/motd"])
    room.offer({**OPS, "opsroom/hosts.yaml": HOST + MOTD.replace("Welcome", "Go away") + SCRIPT + GONE})
    with pytest.raises(Conflict, match="superseded|no longer wants"):
        o.apply_stored_plan(room.call, part.id, digest=part.digest)
    assert not (room.folder / "etc/motd").exists()


def test_a_mode_that_the_plan_does_not_name_is_not_applied_with_it(room: Room) -> None:
    room.put("etc/motd", "Before.\n")
    room.offer(OPS)
    plan = o.create_plan(room.call, target="here", paths=["etc/motd"])
    catalog = {
        "opsroom/hosts.yaml": HOST + MOTD + "  mode: '0666'\n" + SCRIPT + GONE,
        "files/hello": OPS["files/hello"],
    }
    with room.plane.store.begin() as tx:
        tx.execute("UPDATE plans SET state = 'planned'")
    room.offer(catalog)
    with room.plane.store.begin() as tx:
        tx.execute("UPDATE plans SET state = 'planned' WHERE id = :id", {"id": plan.id})
    with pytest.raises(Conflict, match="no longer wants"):
        o.apply_stored_plan(room.call, plan.id, digest=plan.digest)


def test_a_freeze_holds_every_apply(room: Room) -> None:
    room.offer(OPS)
    plan = o.create_plan(room.call, target="here")
    waiver = room.plane.waivers.grant(
        "freeze", ["host=here"], owner="group:shop", reason="the fair", expires=room.clock.now() + timedelta(days=1),
        actor="person:maria",
    )  # fmt: skip
    with pytest.raises(Conflict, match="the fair"):
        o.apply_stored_plan(room.call, plan.id, digest=plan.digest)
    room.plane.waivers.end(waiver.id, "person:maria")
    assert o.apply_stored_plan(room.call, plan.id, digest=plan.digest).state == "applied"


def test_a_plan_with_a_risk_needs_an_approver(room: Room) -> None:
    room.put("etc/old", "kept by someone\n")
    room.offer(OPS)
    plan = o.create_plan(room.call, target="here")
    people = room.plane.actors.people
    jonas = people.add("jonas", "system:test")
    assert isinstance(people.grant(jonas.id, "operator", "system:test"), Grant)
    room.actor = Actor(id=jonas.id, name="jonas")
    with pytest.raises(Forbidden, match="approve"):
        o.apply_stored_plan(room.call, plan.id, digest=plan.digest)
    people.grant(jonas.id, "approver", "system:test")
    assert o.apply_stored_plan(room.call, plan.id, digest=plan.digest).applied_by == jonas.id


def test_what_cannot_be_read_is_unknown_and_left_alone(room: Room) -> None:
    outside = room.put("../outside/motd", "of someone else\n").parent.resolve()
    room.folder.mkdir(parents=True, exist_ok=True)
    (room.folder / "etc").symlink_to(outside)
    room.offer(OPS)
    plan = o.create_plan(room.call, target="here")
    assert [change.name for change in plan.changes] == ["bin/hello"]
    assert set(plan.unknown) == {"etc/motd", "etc/old"} and "link" in plan.unknown["etc/motd"]
    o.apply_stored_plan(room.call, plan.id, digest=plan.digest)
    assert (outside / "motd").read_text() == "of someone else\n"


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "large"])
def test_other_things_than_files_are_unknown(room: Room, kind: str) -> None:
    at = room.put("etc/motd", "x")
    at.unlink()
    if kind == "link":
        at.symlink_to(room.put("etc/other", "y"))
    elif kind == "folder":
        at.mkdir()
    elif kind == "pipe":
        os.mkfifo(at)
    else:
        with at.open("wb") as file:
            file.truncate(9_000_000)
    room.offer({"opsroom/hosts.yaml": HOST + MOTD})
    plan = o.create_plan(room.call, target="here")
    assert plan.changes == [] and "etc/motd" in plan.unknown


def test_opsrooms_own_state_and_keys_are_no_ones_managed_files(room: Room) -> None:
    keys = FILE.replace("NAME", "key").replace("PATH", "keys/master-key") + "  content: mine\n"
    room.offer({"opsroom/hosts.yaml": HOST.replace("folder: host", "folder: .") + keys})
    plan = o.create_plan(room.call, target="here")
    assert plan.changes == [] and "own state" in plan.unknown["keys/master-key"]


def test_a_secret_and_a_private_file_are_never_in_a_plan(room: Room) -> None:
    room.plane.secrets.set("MOTD", "s3cret-of-the-room", "person:maria")
    room.put("etc/motd", "s3cret-of-the-room\n")
    room.put("bin/hello", "private words\n", 0o600)
    room.offer(OPS)
    plan = o.create_plan(room.call, target="here")
    text = plan.model_dump_json() + plan.text
    assert "s3cret" not in text and "private words" not in text
    assert o.apply_stored_plan(room.call, plan.id, digest=plan.digest).state == "applied"
    assert o.create_plan(room.call, target="here").changes == []


def test_binary_files_are_compared_by_digest(room: Room) -> None:
    room.put("bin/hello", b"\0\1\2", 0o755)
    room.offer({**OPS, "files/hello": b"\0\1\3"})
    plan = o.create_plan(room.call, target="here", paths=["bin/hello"])
    assert [field.name for field in plan.changes[0].fields] == ["digest"]
    o.apply_stored_plan(room.call, plan.id, digest=plan.digest)
    assert (room.folder / "bin/hello").read_bytes() == b"\0\1\3"


def test_a_disk_that_refuses_is_told_and_the_plan_goes_on_later(room: Room) -> None:
    room.folder.mkdir()
    room.offer({**OPS, "opsroom/hosts.yaml": HOST + MOTD})
    plan = o.create_plan(room.call, target="here")
    etc = room.folder / "etc"
    etc.write_text("in the way")
    with pytest.raises((Conflict, Unavailable)):
        o.apply_stored_plan(room.call, plan.id, digest=plan.digest)
    etc.unlink()
    assert o.apply_stored_plan(room.call, plan.id, digest=plan.digest).state == "applied"


def test_names_that_are_not_there_are_told(room: Room) -> None:
    room.offer(OPS)
    with pytest.raises(NotFound, match="Host"):
        o.create_plan(room.call, target="there")
    with pytest.raises(NotFound, match="etc/motd"):
        o.create_plan(room.call, target="here", paths=["etc/passwd"])
    with pytest.raises(NotFound, match="plans list"):
        o.show_plan(room.call, "pln_x")


def test_a_plan_cannot_write(room: Room) -> None:
    assert not {name for name in dir(FolderReader) if name in {"write", "put", "delete", "unlink", "mkdir", "rename"}}
    room.put("etc/motd", "Before.\n")
    room.put("etc/old", "old\n")
    room.offer(OPS)
    before = _times(room.folder)
    opened: list[int] = []
    _watch_opens(opened)
    plan = o.create_plan(room.call, target="here")
    seen, opened[:] = list(opened), []
    assert isinstance(Plan(target="here", commit="", changes=()).text(), str) and plan.changes
    assert _times(room.folder) == before
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    assert seen and not [flags for flags in seen if flags & writing]


_HOST_FOLDER_OPENS: list[list[int]] = []


def _watch_opens(into: list[int]) -> None:
    """Every `open` of this process from now on below a host's folder, by an audit hook (they cannot be taken away again)."""
    import sys

    if not _HOST_FOLDER_OPENS:
        sys.addaudithook(_hook)
    _HOST_FOLDER_OPENS.append(into)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _HOST_FOLDER_OPENS and isinstance(arguments[2], int):
        path = str(arguments[0])
        if path.endswith(("/host", "motd", "old", "hello")) or path in {"etc", "bin"}:
            _HOST_FOLDER_OPENS[-1].append(arguments[2])


def _times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}
