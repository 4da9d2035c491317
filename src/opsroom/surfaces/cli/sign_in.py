"""`opsroom sign-in`: a fresh link that signs a person in to the pages."""

from __future__ import annotations

import click

from opsroom.kernel.settings import load_settings


@click.command("sign-in")
@click.option("--person", default="", help="Whom it signs in, as person:NAME; default: whose token is used.")
def sign_in(person: str) -> None:
    """Print a link that signs you in to the pages, once, within 15 minutes."""
    from opsroom.surfaces.cli.client import Client

    answer = Client(load_settings()).ask("POST", "/sign-in-links", body={"person": person})
    click.echo(answer["url"])
