"""What a newcomer gets wrong before a server stands: one line that names the thing and the way out, never a traceback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opsroom.app.serving import serve
from opsroom.kernel.settings import Settings
from opsroom.surfaces.cli.doctor import check_all

Run = Callable[..., tuple[int, str, str]]


def said(answer: tuple[int, str, str]) -> str:
    """The one line of an error, without `Error: `."""
    status, _, err = answer
    (line,) = [one for one in err.splitlines() if not one.startswith("{")]
    assert status == 1 and line.startswith("Error: "), err
    return line.removeprefix("Error: ")


def test_a_state_or_keys_folder_that_is_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    where = ("--state", str(tmp_path / "file"), "--keys", str(tmp_path / "keys"), "--port", "0")
    told = said(run("serve", *where, serve=serve))
    assert told == f"{tmp_path / 'file'}: File exists; name another place, or move what is there away"
    where = ("--state", str(tmp_path / "state"), "--keys", str(tmp_path / "file" / "keys"), "--port", "0")
    told = said(run("serve", *where, serve=serve))
    assert told == f"{tmp_path / 'file' / 'keys'}: Not a directory; name another place, or move the file away"


@pytest.mark.parametrize("content", [b"this is no database", b"SQLite format 3\x00" + b"\xff" * 8000])
def test_a_damaged_database_is_named_with_the_way_out(run: Run, tmp_path: Path, content: bytes) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "opsroom.sqlite").write_bytes(content)
    told = said(run("serve", "--state", str(state), "--keys", str(tmp_path / "keys"), "--port", "0", serve=serve))
    assert told.startswith(
        f"the database {state / 'opsroom.sqlite'} cannot be used: file is not a database; put a backup"
    )
    assert (state / "opsroom.sqlite").read_bytes() == content, "nothing is lost"


def test_an_address_that_is_taken_or_is_not_ours(run: Run, tmp_path: Path) -> None:
    place = ("--state", str(tmp_path / "state"), "--keys", str(tmp_path / "keys"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = said(run("serve", *place, "--port", str(port), serve=serve))
    assert told == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use; stop what does, or choose another by --port or OPSROOM_PORT"
    )
    told = said(run("serve", *place, "--host", "192.0.2.1", "--port", "0", serve=serve))
    assert told.endswith("set OPSROOM_HOST and OPSROOM_PORT to an address of this machine")


@pytest.mark.slow
def test_port_0_tells_the_port_it_got(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "opsroom", "serve", "--port", "0", "--state", "state", "--keys", "keys"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stderr is not None
        told = next(line for line in map(json.loads, server.stderr) if line["message"] == "listening")
        server.terminate()
    assert int(told["url"].removeprefix("http://127.0.0.1:")) > 0


def test_up_on_a_path_that_is_no_repository(run: Run, tmp_path: Path) -> None:
    missing, folder = tmp_path / "nowhere", str(tmp_path / "var")
    told = said(run("up", "--repo", str(missing), "--folder", folder))
    assert (
        told == f"--repo {missing}: there is no such folder; `opsroom init {missing}` writes an ops repo to start from"
    )
    told = said(run("up", "--repo", str(tmp_path), "--folder", folder))
    assert told == f"--repo {tmp_path}: this is no Git repository; run `git init` there, and commit what it holds"
    assert not Path(folder).exists()


def test_up_on_a_port_where_something_listens(run: Run, tmp_path: Path) -> None:
    repo = tmp_path / "ops"
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = said(run("up", "--repo", str(repo), "--port", str(port), "--folder", str(tmp_path / "var")))
    assert (
        told
        == f"port {port} of 127.0.0.1: Address already in use; stop what listens there, or choose another by --port"
    )


@pytest.mark.slow
def test_up_leaves_the_token_of_another_server_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, repo = tmp_path / "keys", tmp_path / "ops"
    keys.mkdir()
    (keys / "master-key").write_text("another server's")
    (keys / "admin-token").write_text("another server's")
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    monkeypatch.setenv("OPSROOM_KEYS", str(keys))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "opsroom", "up", "--repo", str(repo), "--port", port, "--folder", "var"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        told = next(line for line in started.stdout if line.startswith("A fresh link"))
        started.terminate()
    assert told == f"A fresh link: OPSROOM_KEYS={tmp_path}/var/own/keys opsroom sign-in. Ctrl-C ends it.\n"
    assert (keys / "admin-token").read_text() == "another server's"


@pytest.mark.slow
@pytest.mark.parametrize("given", ["nothing", "keys"])
def test_the_doctor_looks_at_the_state_that_up_made(tmp_path: Path, given: str) -> None:
    state, keys = tmp_path / "var" / "own" / "state", tmp_path / "var" / "own" / "keys"
    state.mkdir(parents=True)
    (state / "opsroom.sqlite").touch()
    settings = Settings(state=tmp_path / "var", keys=keys if given == "keys" else tmp_path / "var-keys", port=1)
    found = {finding.name: finding for finding in check_all(settings)}
    assert (found["keys"].state, found["keys"].detail) == (
        "ok",
        f"{keys / 'master-key'} will be made at the first start",
    )
    assert found["state"].detail.startswith(f"{state}, ")


def test_down_ends_what_up_deployed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "var" / "own" / "state"
    state.mkdir(parents=True)
    (state / "opsroom.sqlite").touch()
    monkeypatch.setenv("OPSROOM_STATE", str(tmp_path / "var"))
    assert run("down") == (0, f"no proxy of {state} ran\n", "")
    assert run("down", "--state", str(tmp_path)) == (0, f"no proxy of {tmp_path} ran\n", "")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"hunter2\n", "{file}:1: this is no NAME=VALUE; write the name, an equals sign and the value"),
        (b"\xff\xfe", "{file}: not UTF-8 text; name a file of NAME=VALUE lines, or of a JSON object"),
        (b"{hunter2", '{file}: not JSON (JSONDecodeError); write {{"NAME": "VALUE"}}'),
    ],
)
def test_a_secret_file_that_cannot_be_read_shows_nothing_of_itself(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, told: str
) -> None:
    workflows = tmp_path / ".opsroom" / "workflows"
    workflows.mkdir(parents=True)
    (workflows / "a.yml").write_text("on: push\njobs: {a: {runs-on: x, steps: [{run: 'true'}]}}\n")
    (tmp_path / "secrets").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    assert said(run("run", "--secret-file", "secrets")) == told.format(file="secrets")


def test_a_setting_of_another_type_names_what_it_takes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSROOM_PORT", "abc")
    assert said(run("serve")) == "OPSROOM_PORT='abc' is no whole number; write one such as 8600"
