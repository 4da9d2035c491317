"""Everything a story needs, set up and taken down: the team, the receivers of pages, and the server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from opsroom.surfaces.cli.demo.client import Api, wait_for
from opsroom.surfaces.cli.demo.receivers import Receivers
from opsroom.surfaces.cli.demo.server import Server
from opsroom.surfaces.cli.demo.story import Story
from opsroom.surfaces.cli.demo.team import Team, free_ports

NAMES = ("STAGING_STOREFRONT", "STAGING_INVENTORY", "PRODUCTION_STOREFRONT", "PRODUCTION_INVENTORY")


@dataclass(kw_only=True)
class Stage:
    """A story's surroundings under one folder. `listening` is how many seconds the server took from its start."""

    team: Team
    server: Server
    receivers: Receivers
    api: Api
    listening: float

    def story(self, tell: Callable[[str], None], *, killing: bool = True) -> Story:
        return Story(team=self.team, api=self.api, server=self.server, tell=tell, killing=killing)

    def close(self, *, leave_running: bool = False) -> None:
        if not leave_running:
            self.server.stop()
        self.receivers.close()
        self.api.close()


def set_up(folder: Path, *, port: int = 0) -> Stage:
    """Makes the team's repositories and starts the receivers and the server; `port` 0 takes a free one."""
    folder = folder.absolute()
    ports = free_ports(len(NAMES) + 1)
    apis: list[Api] = []
    receivers = Receivers(lambda page, receiver: _confirm(apis, page, receiver))
    server = Server(folder=folder, port=port or ports[-1], repo=str(folder / "git" / "ops.git"))
    team = Team(folder=folder)
    addresses = {name: f"127.0.0.1:{number}" for name, number in zip(NAMES, ports, strict=False)}
    team.create({
        **addresses,
        "PAGER_URL": receivers.webhook_url,
        "MAIL_SERVER": receivers.smtp_address,
        "BACKUP_STORE": str(folder / "backups"),
        "HOST_FOLDER": str(server.host_folder),
    })  # fmt: skip
    try:
        server.start()
        listening = server.wait()
    except BaseException:  # An interruption too: nothing that was started may stay.
        server.stop()
        receivers.close()
        raise
    apis.append(Api(server.url, server.token))
    return Stage(team=team, server=server, receivers=receivers, api=apis[0], listening=listening)


def _confirm(apis: list[Api], page: str, receiver: str) -> None:
    """A receiver's own word to Opsroom that it took a page; the server may just be away."""
    if apis:
        wait_for(
            "the confirmation of a page",
            lambda: apis[0].post(f"pages/{page}/confirm", {"receiver": receiver}),
            seconds=15,
        )
