"""A repository behind a real sshd: read and pushed to with the key that is named, and never where the host or the key is strange."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from opsroom.kernel.errors import Unavailable
from opsroom.kernel.git import run_git

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
"""


@dataclass(frozen=True)
class Behind:
    """A bare repository as ssh reaches it."""

    url: str
    folder: Path

    def ssh(self, key: str = "key", hosts: str = "hosts") -> str:
        return f"ssh -F none -i {self.folder / key} -o IdentitiesOnly=yes -o UserKnownHostsFile={self.folder / hosts}"


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Behind]:
    if SSHD is None:
        pytest.skip("sshd is not installed")
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("host", "key", "strange"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized").write_text((folder / "key.pub").read_text())
    host = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "hosts").write_text(f"[127.0.0.1]:{port} {host}\n")
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder))
    if Path("/run").is_dir() and not Path("/run/sshd").exists():
        try:
            Path("/run/sshd").mkdir(mode=0o755)
        except PermissionError:
            pass  # Only a server that runs as root wants it.
    log = (folder / "log").open("w")
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "config")], stderr=log)
    try:
        _wait(port, process, folder / "log")
        bare = tmp_path / "shop.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
        yield Behind(f"ssh://{getpass.getuser()}@127.0.0.1:{port}{bare}", folder)
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            pytest.skip(f"sshd does not start here: {log.read_text().strip()}")
        time.sleep(0.02)
    pytest.fail(f"sshd does not listen: {log.read_text()}")


@pytest.mark.slow
def test_read_and_pushed_to_with_the_key_that_is_named(behind: Behind, tmp_path: Path) -> None:
    work = tmp_path / "work"
    author = ("-c", "user.name=Maria", "-c", "user.email=maria@example.com")
    subprocess.run(["git", "init", "-q", "-b", "main", str(work)], check=True)
    subprocess.run(["git", *author, "commit", "-q", "--allow-empty", "-m", "first"], cwd=work, check=True)
    run_git("push", behind.url, "main", folder=work, url=behind.url, ssh=behind.ssh())
    listed = run_git("ls-remote", behind.url, folder=tmp_path, url=behind.url, ssh=behind.ssh())
    assert "refs/heads/main" in listed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "hosts", "told"),
    [("strange", "hosts", "Permission denied"), ("key", "none", "Host key verification failed")],
)
def test_a_strange_key_or_host_is_refused_in_one_line(
    behind: Behind, tmp_path: Path, key: str, hosts: str, told: str
) -> None:
    with pytest.raises(Unavailable) as refused:
        run_git("ls-remote", behind.url, folder=tmp_path, url=behind.url, ssh=behind.ssh(key, hosts))
    assert told in str(refused.value) and "\n" not in str(refused.value)
