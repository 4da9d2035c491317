"""Git at other machines: the secret named after the host goes there, over TLS or to this machine, and nowhere else."""

from __future__ import annotations

import base64
import time

from area_plane import AreaPlane
from git_door import git_door
from opsroom.app.git_access import git_credentials, secret_name


def test_a_watched_repository_is_asked_for_with_the_secret_of_its_host(house: AreaPlane) -> None:
    house.plane.secrets.set("GIT_127_0_0_1", "robot:hunter-22", "person:admin")
    with git_door() as door:
        house.plane.repos.watch("shop", door.url)
        end = time.monotonic() + 10
        while not (fault := house.plane.repos.faults().get("shop", "")) and time.monotonic() < end:
            house.plane.repos.poll()
            time.sleep(0.05)
    assert "Basic " + base64.b64encode(b"robot:hunter-22").decode() in door.seen
    assert "hunter-22" not in fault and "\n" not in fault
    (read,) = house.plane.ledger.find(types=("secret.read",))
    assert (read.actor, read.data["purpose"]) == ("system:git", "git at 127.0.0.1")


def test_no_secret_goes_in_clear_to_another_machine_and_each_is_read_once_an_hour(house: AreaPlane) -> None:
    house.plane.secrets.set("GIT_GIT_EXAMPLE_ORG", "only-a-token", "person:admin")
    now = [0.0]
    ask = git_credentials(house.plane.secrets, monotonic=lambda: now[0])
    assert secret_name("git.example.org") == "GIT_GIT_EXAMPLE_ORG"
    assert ask("http://git.example.org/a.git") is None and ask("https://other.example.org/a.git") is None
    for moment in (0.0, 3000.0, 4000.0):
        now[0] = moment
        assert ask("https://git.example.org/a.git") == ("git", "only-a-token")
    assert len(house.plane.ledger.find(types=("secret.read",))) == 2
