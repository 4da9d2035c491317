"""`opsroom serve`: the plane built, its duties and its engine started, its API and pages listening."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from opsroom.app.application import Application
from opsroom.app.areas import load_areas, load_connectors
from opsroom.app.catalog import reload_on_push, restore
from opsroom.app.duties import Duties
from opsroom.app.plane import build_plane
from opsroom.contracts.repositories import ops_repository
from opsroom.kernel.errors import Conflict, Unavailable
from opsroom.kernel.settings import Settings


def serve(settings: Settings) -> None:
    """Serves until SIGINT or SIGTERM. Conflict: another server has this state open."""
    from opsroom.surfaces.api.server import serve as listen

    with _alone(settings):
        areas = load_areas()
        with _readable(settings):
            plane = build_plane(settings, areas, load_connectors())
        if settings.repo:
            plane.repos.watch(ops_repository(plane), settings.repo)
        restore(plane, areas)
        duties = Duties(plane, areas, own=[reload_on_push(areas)])
        application = Application(plane)

        def ready(port: int) -> None:
            plane.telemetry.start()
            plane.engine.start()
            duties.start()
            plane.journal.info("listening", url=f"http://{settings.host}:{port}", pid=os.getpid())

        try:
            listen(plane, application, settings, ready=ready)
        finally:
            duties.stop()
            plane.engine.stop()
            plane.telemetry.close()
            plane.store.close()


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Holds the state folder for this process; what a server that was killed had leased is free at once."""
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.state / "server.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(f"another server has {settings.state} open; stop it, or set OPSROOM_STATE") from None
        yield


_UNREADABLE = ("not a database", "malformed", "disk i/o", "readonly", "unable to open", "disk is full", "connection")


@contextmanager
def _readable(settings: Settings) -> Iterator[None]:
    """Unavailable: the database is damaged, cannot be written, or does not answer. What else it refuses is a bug."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import DatabaseError

    try:
        yield
    except DatabaseError as error:
        reason = " ".join(str(error.orig).split())
        if not any(word in reason.lower() for word in _UNREADABLE):
            raise
        url = make_url(settings.database_url)
        if url.get_backend_name() != "sqlite":
            where = url.render_as_string(hide_password=True)
            raise Unavailable(f"the database {where} does not answer: {reason}; mend OPSROOM_DATABASE") from None
        raise Unavailable(
            f"the database {url.database} cannot be used: {reason}; put a backup in its place with `opsroom restore`, "
            "or move it away to start anew"
        ) from None
