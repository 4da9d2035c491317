"""`opsroom serve`: the server, in the foreground, until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from opsroom.kernel.settings import load_settings


@click.command("serve")
@click.option("--repo", help="The ops repo: a path or a Git URL.")
@click.option("--host", help="Address to listen on; default 127.0.0.1. Any other is without TLS: put a proxy in front.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to listen on; default 8600.")
@click.option("--state", type=click.Path(path_type=Path), help="Folder for everything Opsroom keeps; default var.")
@click.option("--keys", type=click.Path(path_type=Path), help="Folder of the master key; default var-keys.")
@click.pass_context
def serve(context: click.Context, /, **given: Any) -> None:
    """Start the server and stay until Ctrl-C or SIGTERM.

    Options not given come from the environment (OPSROOM_PORT and so on; see docs/reference/settings.md). Running jobs, deployed
    services and their proxy go on when the server stops, and are taken up again when it returns."""
    context.obj(load_settings(**given))
