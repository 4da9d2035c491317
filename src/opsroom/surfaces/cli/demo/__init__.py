"""`opsroom demo`: the whole story, headless, on a server of its own, with a report of what was recorded."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on standard output.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where to work; default: a temporary folder, deleted when all went well.",
)
@click.option("--keep", is_flag=True, help="Leave the server, the services and the folder as they are at the end.")
def demo(as_json: bool, folder: Path | None, keep: bool) -> None:
    """Run the example team's story, from the first push to the postmortem, and report what was recorded.

    Exit 0 only if every step really happened."""
    from opsroom.surfaces.cli.demo.report import report
    from opsroom.surfaces.cli.demo.stage import set_up

    work = folder or Path(tempfile.mkdtemp(prefix="opsroom-demo-"))
    began = time.monotonic()

    def tell(text: str) -> None:
        click.echo(f"{time.monotonic() - began:6.1f} s  {text}", err=as_json)

    stage = set_up(work)
    tell(f"listening on {stage.server.url} after {stage.listening:.2f} s; working in {work}")
    try:
        story = stage.story(tell)
        story.run()
        made = {
            **report(story),
            "seconds": round(time.monotonic() - began, 1),
            "listening_seconds": round(stage.listening, 2),
        }
    finally:
        stage.close(leave_running=keep)
    if as_json:
        click.echo(json.dumps(made, indent=2))
    else:
        click.echo(f"{'Every step happened' if made['ok'] else 'Not every step happened'}, in {made['seconds']} s.")
    if made["ok"] and not keep and not folder:
        shutil.rmtree(work)
    sys.exit(0 if made["ok"] else 1)
