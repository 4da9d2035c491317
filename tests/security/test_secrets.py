"""opsroom/scan-secrets: what it finds, what it keeps of it, and what it says it did not look at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from security_room import Room

from opsroom.areas.security import secret_scan
from opsroom.areas.security.operations import list_findings, list_scans
from opsroom.areas.security.secret_rules import hits_in
from opsroom.areas.security.secret_walk import walk
from opsroom.contracts.actions import ActionFailed
from opsroom.contracts.plane import Call
from opsroom.kernel.actors import Actor

# Put together here, so that this file holds no text that looks like a secret.
AWS = "AKIA" + "QYLPMN5HFIQR7XYA"
GITHUB = "ghp_" + "w8Zk2Q5vT1nB7xYc3LmR9sDf4GhJ6pKa0EuV"
SLACK = "xoxb-" + "2839471029-5839201748-aB3dE6gH9jK2mN5pQ8sT"
AZURE = "b4x7" * 3 + "q2m6zk5wn3tyf4vh7rc2pj6dl5gs3a7e" + "k2w5n7rt"
BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
PEM = f"-----BEGIN PRIVATE KEY-----\n{BODY}\n{BODY[::-1]}\n-----END PRIVATE KEY-----\n"
GENERIC = "q7Rf2Lx9" + "Vb4Nc8Mz1Kp6Wd3T"


def call(room: Room) -> Call:
    return Call(plane=room.plane, actor=Actor.run("run_1"))


@pytest.mark.parametrize(
    ("text", "rule", "value"),
    [
        (f"key = '{AWS}'", "aws-access-key", AWS),
        (f"token: {GITHUB}", "github-token", GITHUB),
        (f"SLACK={SLACK}", "slack-token", SLACK),
        (f"AZDO_PAT={AZURE}", "azure-devops-token", AZURE),
        (f"a\nb\ndb_password = \"{GENERIC}\"", "generic-secret", GENERIC),
        (PEM, "private-key", BODY + BODY[::-1]),
    ],
)  # fmt: skip
def test_formats_are_known(text: str, rule: str, value: str) -> None:
    assert (rule, value) in {(hit.rule, hit.value) for hit in hits_in(text)}


@pytest.mark.parametrize(
    "text",
    [
        "password = 'changeme-changeme'", "token = '${{ secrets.TOKEN }}'", "secret: \"{{ vault.secret_here_1 }}\"",
        "key = 'AKIAIOSFODNN7EXAMPLE'", "token_url = 'https://login.internal/oauth2/v2.0/abc1'", "password = os.getenv('PASSWORD_1')",
        "secret_digest = 'sha256:4f9d1c0a9b8e7d6c5b4a39281706f5e4d3c2b1a0'", "ghp_" + "x" * 36, "api_key = 'aaaaaaaaaaaaaaaa1'",
    ],
)  # fmt: skip
def test_what_is_plainly_no_secret_is_left_alone(text: str) -> None:
    assert list(hits_in(text)) == []


def test_long_text_is_looked_through_in_reasonable_time() -> None:
    import time

    began = time.process_time()
    text = "secret" * 20_000 + " " + "token_" * 20_000 + "A" * 500_000 + "BEGIN PRIVATE KEY-----" * 2000
    list(hits_in(text))
    assert time.process_time() - began < 5


def test_a_secret_fails_the_step_and_its_value_is_kept_nowhere(room: Room, tmp_path: Path) -> None:
    room.write({"app.py": f"x = 1\nKEY = '{AWS}'\n", "conf/key.pem": PEM, "README.md": "nothing here\n"})
    with pytest.raises(ActionFailed, match="2 new findings") as failed:
        room.use("scan-secrets")
    page = list_findings(call(room))
    assert {(one.rule, one.severity, one.places[0]) for one in page.items} == {
        ("aws-access-key", "critical", "app.py:2"), ("private-key", "critical", "conf/key.pem:1"),
    }  # fmt: skip
    said = "\n".join([str(failed.value), *room.port.lines, *room.port.summaries, page.model_dump_json()])
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(room.folder)]
    kept = b"".join(path.read_bytes() for path in files)
    for value in (AWS, BODY):
        assert value not in said and value.encode() not in kept
        assert value not in room.plane.secrets.redact(f"echo {value}")


def test_the_same_secret_in_two_files_is_one_finding_and_survives_moves(room: Room) -> None:
    room.write({"a.py": f"KEY = '{AWS}'\n", "b.py": f"OTHER = '{AWS}'\n"})
    room.use("scan-secrets", fail_on="none")
    (finding,) = list_findings(call(room)).items
    assert finding.places == ["a.py:1", "b.py:1"]
    room.write({"a.py": "\n\n# moved\n", "lib/c.py": f"\nKEY = '{AWS}'\n"})
    (room.folder / "b.py").unlink()
    told = room.use("scan-secrets", commit="c2")
    assert told == {"findings": "1", "new": "0"}
    (again,) = list_findings(call(room)).items
    assert again.id == finding.id and again.places == ["lib/c.py:2"] and again.commit == "c2"
    assert len(room.events("finding.opened")) == 1


def test_links_and_git_are_not_followed(room: Room, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "key").write_text(f"KEY = '{AWS}'\n")
    (room.folder / "linked").symlink_to(outside)
    (room.folder / "key").symlink_to(outside / "key")
    room.write({".git/config": f"token = '{GITHUB}'\n", "main.py": "print()\n"})
    os.mkfifo(room.folder / "pipe")
    assert room.use("scan-secrets") == {"findings": "0", "new": "0"}
    with pytest.raises(ActionFailed, match="cannot be opened"):
        room.use("scan-secrets", path="linked")
    with pytest.raises(ActionFailed, match="not within the workspace"):
        room.use("scan-secrets", path="../outside")


def test_limits_leave_the_rest_unchecked(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text("x" * 100)
    (tmp_path / "big").write_text("x" * 2000)
    (tmp_path / "image").write_bytes(b"\x89PNG\0\0" + AWS.encode() + b"\0")
    (tmp_path / "windows.txt").write_text(f"KEY={AWS}", "utf-16")
    request: dict[str, Any] = {"workspace": str(tmp_path), "path": ".", "files": 100, "bytes": 1000, "seconds": 60}
    lines = list(walk(request))
    assert {"unchecked": {"what": "big", "why": "larger than 1000 bytes"}} in lines
    assert lines[-1] == {"end": {"looked_at": 5}}
    assert {line["hit"]["path"] for line in lines if "hit" in line} == {"image", "windows.txt"}
    assert any(line.get("unchecked", {}).get("what") == "*" for line in walk({**request, "files": 2}))
    assert any(line.get("unchecked", {}).get("what") == "*" for line in walk({**request, "seconds": -1}))


def test_a_file_that_was_not_looked_at_closes_nothing(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.write({"a.py": f"KEY = '{AWS}'\n"})
    room.use("scan-secrets", fail_on="none")
    monkeypatch.setattr(secret_scan, "MOST_BYTES", 10)
    room.write({"a.py": "x = 1\n" * 10})
    room.use("scan-secrets", commit="c2")
    assert [one.state for one in list_findings(call(room)).items] == ["open"]
    (scan, _) = list_scans(call(room)).items
    assert scan.verdict == "not checked" and scan.unchecked[0].what == "a.py"
    monkeypatch.undo()
    room.use("scan-secrets", commit="c3")
    assert [one.state for one in list_findings(call(room)).items] == ["closed"]


def test_a_cancelled_scan_records_nothing(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(room.port), "cancelled", lambda port: True)
    monkeypatch.setattr(secret_scan, "ASK_SECONDS", 0.01)
    room.write({"a.py": "x\n"})
    with pytest.raises(ActionFailed, match="cancelled"):
        room.use("scan-secrets")
    assert room.events("scan.finished") == []


@pytest.mark.parametrize("value", ["production", "configuration", "a" * 40, "0123456789abcdef" * 4, "short1A"])
def test_what_our_own_records_hold_is_never_hidden(value: str) -> None:
    assert not secret_scan.worth_hiding(value)


def test_a_step_that_was_cut_off_is_looked_up(room: Room) -> None:
    room.write({"a.py": f"KEY = '{AWS}'\n"})
    assert room.use("scan-secrets", key="k", recover=True) is None
    assert room.use("scan-secrets", key="k", fail_on="none") == {"findings": "1", "new": "1"}
    assert room.use("scan-secrets", key="k", fail_on="none", recover=True) == {"findings": "1", "new": "1"}
    with pytest.raises(ActionFailed):
        room.use("scan-secrets", key="k", fail_on="new", recover=True)
    assert len(room.events("scan.finished")) == 1
