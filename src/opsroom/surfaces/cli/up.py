"""`opsroom up`: Opsroom in the foreground with the example team at work, or on an ops repo of one's own."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from opsroom.kernel.errors import Invalid, NotFound

if TYPE_CHECKING:
    from opsroom.surfaces.cli.demo.server import Server


@click.command()
@click.option("--repo", default="", help="Your ops repo: a path or a Git URL. Default: the example team.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8600, show_default=True, help="Port on 127.0.0.1.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("var"), show_default=True, help="Where all of it is kept."
)
def up(repo: str, port: int, folder: Path) -> None:
    """Start Opsroom, and print its address and a sign-in link.

    Without --repo the example team's story begins at once, and its progress is printed. Ctrl-C ends the server; with the example
    team its services too, while your own go on until `opsroom down`."""
    signal.signal(signal.SIGTERM, _interrupt)  # From here on SIGTERM is Ctrl-C, and what is started is ended.
    if repo:
        _own(repo, port, folder.absolute() / "own")
    else:
        _example(port, folder.absolute() / "example")


def _own(repo: str, port: int, folder: Path) -> None:
    from opsroom.surfaces.cli.demo.client import Api
    from opsroom.surfaces.cli.demo.server import Server

    _check_repository(repo)
    path = Path(repo).expanduser()
    server = Server(folder=folder, port=port, repo=str(path.absolute()) if path.exists() else repo, example=False)
    try:
        server.start()
        server.wait()
        api = Api(server.url, server.token)
        _say_where(server, api.post("sign-in-links")["url"])
        _stay(server)
    finally:
        server.end()
        if server.serving is not None:
            click.echo(f"What is deployed goes on running. To end it: opsroom down --state {_shown(server.state)}")


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _check_repository(repo: str) -> None:
    """NotFound, Invalid: a path where no Git repository is. A URL is tried by the server, which says what came of it."""
    from opsroom.kernel.git import git_directory, local_path

    path = local_path(str(Path(repo).expanduser()))
    if path is None or git_directory(path) is not None:
        return
    if not path.exists():
        raise NotFound(
            f"--repo {repo}: there is no such folder; `opsroom init {repo}` writes an ops repo to start from"
        )
    raise Invalid(f"--repo {repo}: this is no Git repository; run `git init` there, and commit what it holds")


def _example(port: int, folder: Path) -> None:
    import shutil

    from opsroom.surfaces.cli.demo.server import Server
    from opsroom.surfaces.cli.demo.stage import set_up

    # The story is always told from its beginning; what an earlier one left is ended and of no use to it.
    if folder.exists():
        Server(folder=folder, port=port, repo="").stop()
        shutil.rmtree(folder)
    stage = set_up(folder, port=port)
    try:
        _say_where(stage.server, stage.api.post("sign-in-links")["url"])
        story = stage.story(click.echo, killing=False)
        threading.Thread(target=story.run, name="story", daemon=True).start()
        _stay(stage.server)
    finally:
        stage.close()


def _say_where(server: Server, link: str) -> None:
    fresh = "opsroom sign-in" if _lend_token(server) else f"OPSROOM_KEYS={server.keys} opsroom sign-in"
    click.echo(f"\nOpsroom is on {server.url}\nSign in once with {link}\nA fresh link: {fresh}. Ctrl-C ends it.\n")


def _lend_token(server: Server) -> bool:
    """Puts the admin's token where the command line looks by default, so that `opsroom runs list` works beside this; not where
    another server keeps its keys, whose own token would be lost."""
    from opsroom.kernel.master_key import FILE, write_private
    from opsroom.kernel.settings import load_settings

    keys = load_settings().keys
    if (keys / FILE).exists():
        return keys.resolve() == server.keys.resolve()
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(keys / "admin-token", server.token + "\n")
    return True


def _stay(server: Server) -> None:
    """Until the server ends or someone ends this."""
    assert server.serving is not None
    try:
        server.serving.wait()
    except KeyboardInterrupt:
        click.echo("ending …")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
