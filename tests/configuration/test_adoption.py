"""Adoption: files become the ops repo's as they are, and the plan right after is empty."""

from __future__ import annotations

import subprocess

import pytest
from configuration_room import FILE, HOST, MOTD, Room, git
from hypothesis import given
from hypothesis import strategies as st

from opsroom.areas.configuration import operations as o
from opsroom.areas.configuration.adopted_yaml import as_resource
from opsroom.kernel.documents import load_documents
from opsroom.kernel.errors import Invalid

START = {"opsroom/hosts.yaml": HOST}


def shown(room: Room, path: str) -> str:
    return git(room.work.parent / "ops.git", "show", f"main:{path}")


def test_files_become_resources_and_the_plan_is_empty(room: Room) -> None:
    room.push(START)
    room.take_in_force()
    room.put("etc/motd", "Hello\n\nthere\n")
    room.put("etc/deep/run.sh", "#!/bin/sh\necho ${{ not ours }}\n", 0o755)
    done = o.adopt_configurations(room.call, target="here", paths=["etc"])
    assert [file.path for file in done.files] == ["etc/deep/run.sh", "etc/motd"] and done.commit and not done.reason
    assert "content: |\n    Hello\n\n    there\n" in shown(room, "opsroom/files-here.yaml")
    assert shown(room, "files/here/etc/deep/run.sh").endswith("${{ not ours }}\n")
    room.take_in_force()
    plan = o.create_plan(room.call, target="here")
    assert plan.changes == [] and plan.unknown == {}
    (event,) = room.events("configuration.adopted")
    assert event.data["commit"] == done.commit and "file:etc/motd" in event.subjects and room.reaches_push(event)


def test_a_drifted_file_is_adopted_where_it_is_written(room: Room) -> None:
    sourced = (
        FILE.replace("NAME", "run").replace("PATH", "bin/run") + "  source: files/run  # the runner\n  mode: '0755'\n"
    )
    room.push({"opsroom/hosts.yaml": "# Our hosts.\n" + HOST + MOTD + sourced, "files/run": "old\n"})
    room.take_in_force()
    room.put("etc/motd", "by hand\nand more\n", 0o664)
    room.put("bin/run", "new\n", 0o755)
    done = o.adopt_configurations(room.call, target="here", paths=["etc/motd", "bin/run"])
    assert not done.refused and {file.how for file in done.files} == {"changed"}
    room.take_in_force()
    assert o.create_plan(room.call, target="here").changes == []
    text = shown(room, "opsroom/hosts.yaml")
    assert text.startswith("# Our hosts.\n") and "# the runner" in text and "by hand\n    and more\n" in text
    assert shown(room, "files/run") == "new\n"


def test_a_deleted_file_is_declared_absent_and_can_come_back(room: Room) -> None:
    room.push({"opsroom/hosts.yaml": HOST + MOTD})
    room.take_in_force()
    done = o.adopt_configurations(room.call, target="here", paths=["etc/motd"])
    assert done.files[0].how == "declared absent"
    room.take_in_force()
    assert o.create_plan(room.call, target="here").changes == []
    room.put("etc/motd", "back\n")
    o.adopt_configurations(room.call, target="here", paths=["etc/motd"])
    room.take_in_force()
    assert o.create_plan(room.call, target="here").changes == []


def test_what_may_not_stand_in_the_ops_repo_is_refused_by_name(room: Room) -> None:
    room.push(START)
    room.take_in_force()
    room.plane.secrets.set("TOKEN", "s3cret-of-the-room", "person:maria")
    room.put("good", "x\n")
    room.put("binary", b"\0\1")
    room.put("private", "x\n", 0o600)
    room.put("secret", "token=s3cret-of-the-room\n")
    (room.folder / "link").symlink_to(room.folder / "good")
    done = o.adopt_configurations(
        room.call, target="here", paths=["good", "binary", "private", "secret", "link", "../state", "gone"]
    )
    assert [file.path for file in done.files] == ["good"]
    assert set(done.refused) == {"binary", "private", "secret", "link", "../state", "gone"}
    assert "s3cret" not in done.model_dump_json()
    with pytest.raises(Invalid, match="not there"):
        o.adopt_configurations(room.call, target="here", paths=["gone"])


def test_keys_are_never_adopted(room: Room) -> None:
    room.push({"opsroom/hosts.yaml": HOST.replace("folder: host", "folder: .")})
    room.take_in_force()
    with pytest.raises(Invalid):
        o.adopt_configurations(room.call, target="here", paths=["keys"])
    with pytest.raises(Invalid, match="own state"):
        o.adopt_configurations(room.call, target="here", paths=["keys/master-key"])


def test_without_a_push_there_is_a_patch(room: Room) -> None:
    room.push(START)
    room.take_in_force()
    room.put("etc/motd", "no newline at its end")
    hook = room.work.parent / "ops.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    done = o.adopt_configurations(room.call, target="here", paths=["etc/motd"])
    assert done.commit == "" and "git apply" in done.reason and not room.events("configuration.adopted")
    subprocess.run(["git", "apply"], cwd=room.work, input=done.patch, text=True, check=True)
    hook.unlink()
    room.push({}, "by hand")
    room.take_in_force()
    assert o.create_plan(room.call, target="here").changes == []


@given(st.text(alphabet=st.sampled_from(list("ab \t\n#:-'\"|>%&*!{}[]\\\r\x00\x07\x85\u2028é😀${")), max_size=60))
def test_content_reads_back_as_it_is_or_is_not_written_so(content: str) -> None:
    text = as_resource("n", "here", "etc/x", "0644", content=content)
    if text is not None:
        (node,), problems = load_documents(text, "x.yaml")
        assert not problems and node.value["spec"]["content"] == content
    else:
        assert "${{" in content
