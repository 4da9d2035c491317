"""What a hostile job can reach from its sandbox: nothing but its own."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from opsroom.kernel.settings import child_environment
from opsroom.workflows import sandbox
from opsroom.workflows.sandbox import Limits

Run = Any


def blocked(run_sandboxed: Run, script: str, **given: Any) -> Any:
    """Each line of the script must fail; prints the lines that did not."""
    lines = [line.strip() for line in script.strip().splitlines()]
    said = run_sandboxed(
        ["\n".join(f"({line}) >/dev/null 2>&1 && echo {index}" for index, line in enumerate(lines)) + "\n:"], **given
    )
    reached = [lines[int(number)] for number in said.out.split()]
    assert said.end["conclusion"] == "success", said.log
    assert not reached


def test_the_planes_files_and_other_jobs_are_not_there(run_sandboxed: Run, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "master.key").write_text("key")
    other = tmp_path / "jobs" / "other" / "workspace"
    other.mkdir(parents=True)
    (other / "code").write_text("code")
    home = child_environment().get("HOME", "/root")
    blocked(
        run_sandboxed,
        f"""
        cat {keys}/master.key
        cat {other}/code
        ls {tmp_path}
        cat {tmp_path}/job/events.jsonl
        ls {home}/.ssh
        ls {home}/.cache
        cat /etc/shadow
        cat /proc/1/root{keys}/master.key
        cat /proc/self/cwd/../../../../../..{keys}/master.key
        ls /run/*
        ls /var/lib/*
        ls /root/*.*
        ls /sys/kernel
        touch /usr/x
        touch /etc/x
        touch /x
        """,
    )


def test_nothing_of_the_kernel_can_be_changed(run_sandboxed: Run) -> None:
    blocked(
        run_sandboxed,
        """
        echo x > /proc/sys/kernel/core_pattern
        echo 1 > /proc/sys/vm/drop_caches
        echo c > /proc/sysrq-trigger
        mount -t tmpfs none /tmp
        mount -o remount,rw /usr
        umount /proc
        unshare -U true
        unshare -r -m true
        chroot / true
        mknod /tmp/sda b 8 0
        head -c 1 /dev/kmsg
        head -c 1 /dev/mem
        ls /dev/sda /dev/vda /dev/fuse /dev/kvm
        nsenter -t 1 -m true
        dmesg
        hostname other
        """,
    )


def test_it_sees_its_own_processes_alone(run_sandboxed: Run) -> None:
    said = run_sandboxed(
        ["ls /proc | grep -c '^[0-9]'; cat /proc/*/cmdline | tr '\\0' ' '; grep Cap /proc/self/status; id -u"]
    )
    lines = said.out.split("\n")
    assert int(lines[0]) < 8
    assert "pytest" not in said.out and "python" not in said.out
    assert all(line.split()[1] == "0" * 16 for line in lines if line.startswith("Cap"))
    assert lines[-1] == str(sandbox.UID)


def test_there_is_no_network(run_sandboxed: Run, tmp_path: Path) -> None:
    plane = socket.create_server(("127.0.0.1", 0))
    port = plane.getsockname()[1]
    path = tmp_path / "plane.sock"
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(path))
    unix.listen()
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0opsroom-test-{port}")
    abstract.listen()
    python = "python3 -c 'import socket as s; {}'"
    blocked(
        run_sandboxed,
        f"""
        (exec 3<>/dev/tcp/127.0.0.1/{port})
        {python.format(f's.create_connection(("127.0.0.1", {port}), 2)')}
        {python.format(f's.socket(s.AF_UNIX).connect("{path}")')}
        {python.format(f's.socket(s.AF_UNIX).connect("{chr(92)}0opsroom-test-{port}")')}
        {python.format('s.create_connection(("1.1.1.1", 53), 2)')}
        {python.format('s.getaddrinfo("example.org", 80)')}
        {python.format("s.socket(s.AF_INET, s.SOCK_RAW, 1)")}
        {python.format("s.socket(s.AF_PACKET, s.SOCK_RAW)")}
        """,
    )
    said = run_sandboxed(
        [
            python.format(
                'a = s.create_server(("127.0.0.1", 0)); s.create_connection(a.getsockname(), 2); print("loopback")'
            )
        ]
    )
    assert said.out == "loopback"
    for one in (plane, unix, abstract):
        one.close()


def test_ordinary_work_goes_on_inside(run_sandboxed: Run) -> None:
    said = run_sandboxed(
        [
            'cd "$(mktemp -d)"; echo x > a; git init -q . && git add a && git -c user.name=a -c user.email=a@b commit -qm m && git log --oneline | wc -l',
            "echo $HOME; touch ~/x $RUNNER_TEMP/y /tmp/z /dev/shm/s; whoami; getent hosts localhost | head -1 | grep -c localhost; ls -d /tmp -l | cut -c1-10",
            "python3 -c 'import ssl, sqlite3, ctypes, hashlib; print(len(ssl.create_default_context().get_ca_certs()) > 0)'",
            "cat /tmp/z && date +%Z && echo tty: $(tty)",
        ]
    )
    assert said.end["conclusion"] == "success", said.log
    assert said.out.split("\n")[:5] == ["1", "/home/runner", "runner", "1", "drwxrwxrwt"]
    assert said.out.split("\n")[-1] == "tty: not a tty"


def test_limits(run_sandboxed: Run) -> None:
    limits = Limits(file_bytes=1 << 20, data_bytes=200 << 20)
    said = run_sandboxed(
        [
            {"id": "file", "run": "head -c 3000000 /dev/zero > big", "continue-on-error": True},
            {"id": "data", "run": "python3 -c 'x = bytearray(1 << 30)'", "continue-on-error": True},
            {"id": "core", "run": "ulimit -c"},
        ],
        runner={"limits": limits},
    )
    assert [step["outcome"] for step in said.steps.values()] == ["failure", "failure", "success"]
    assert "MemoryError" in said.out and said.out.endswith("\n0")


def test_a_job_is_refused_where_there_is_no_sandbox(
    run_sandboxed: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refusing = tmp_path / "bwrap"
    refusing.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2; exit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setattr(sandbox, "bwrap_path", lambda: refusing)
    said = run_sandboxed(["touch ran", "echo two"])
    assert said.end["conclusion"] == "failure"
    assert "the kernel refuses it (bwrap: setting up uid map: Permission denied)" in said.end["error"]
    assert "unsandboxed" in said.end["error"] and not said.steps
    assert not (tmp_path / "job" / "workspace" / "ran").exists()
    state = sandbox.probe()
    assert not state.available and "Permission denied" in state.reason and "user namespaces" in state.reason


def test_two_jobs_do_not_see_each_other(run_sandboxed: Run, tmp_path: Path) -> None:
    first: list[Any] = []
    thread = threading.Thread(
        target=lambda: first.append(
            run_sandboxed(["touch /tmp/mine here; sleep 0.6; ls /tmp"], folder=tmp_path / "one")
        )
    )
    thread.start()
    here = tmp_path / "one" / "workspace" / "here"
    while not here.exists():
        thread.join(0.01)
    second = run_sandboxed(
        ["ls /tmp . ..; touch /tmp/theirs; cat /proc/*/cmdline | tr '\\0' ' '"], folder=tmp_path / "two"
    )
    thread.join()
    assert "mine" not in second.out and "sleep" not in second.out and "here" not in second.out
    assert first[0].out == "mine"


def test_links_left_for_the_next_runner_are_not_followed(run_sandboxed: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    run_sandboxed(["true"])
    home, temp = tmp_path / "job" / "home", tmp_path / "job" / "temp"
    (temp / "event.json").unlink()
    (temp / "event.json").symlink_to(outside / "precious")
    for path in sorted(home.rglob("*"), reverse=True):
        path.rmdir()
    (home / "work").symlink_to(outside)
    said = run_sandboxed(["cat $GITHUB_EVENT_PATH; pwd"])
    assert said.out == "{}\n/home/runner/work/shop/shop" or said.out == "{}/home/runner/work/shop/shop"
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_text() == "precious"


@pytest.mark.skipif(os.getuid() == 0, reason="Linux enforces no limit of processes for root")
def test_the_number_of_processes_is_limited(run_sandboxed: Run) -> None:
    said = run_sandboxed(
        [{"run": "for i in $(seq 60); do sleep 5 & done", "continue-on-error": True}],
        runner={"limits": Limits(processes=30)},
    )
    assert "Resource temporarily unavailable" in said.out or "Cannot fork" in said.out
