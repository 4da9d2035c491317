"""`opsroom down`: ends what this state deployed, for machines on which nothing of it shall run any more.

Local, and no operation: it ends processes of this machine, works where no server runs, and refuses while one does, since that
server would start them again.
"""

from __future__ import annotations

import fcntl
from pathlib import Path

import click

from opsroom.kernel.errors import Conflict
from opsroom.kernel.settings import load_settings
from opsroom.surfaces.cli.states import in_use


@click.command("down")
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="Folder for everything Opsroom keeps; default var, or what `up` made in it.",
)
def down(state: Path | None) -> None:
    """End the deployed services and their proxy. A server that is started later brings them back."""
    from opsroom.areas.delivery.ending import end_proxy, end_services

    settings = load_settings(state=state) if state else in_use(load_settings())
    _check_no_server(settings.state)
    for ended in end_services(settings):
        click.echo(f"ended {ended}")
    click.echo("ended the proxy" if end_proxy(settings) else f"no proxy of {settings.state} ran")


def _check_no_server(state: Path) -> None:
    """Conflict while a server holds the state's lock."""
    file = state / "server.lock"
    if not file.exists():
        return
    with file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(f"a server has {state} open and would start the services again; stop it first") from None
