"""Ending what was deployed, for `opsroom down`: where no server runs, and nothing would start it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from opsroom.areas.delivery import deployment_store as rows
from opsroom.areas.delivery.processes import Process, find, probe
from opsroom.areas.delivery.proxy import Proxy

if TYPE_CHECKING:
    from opsroom.kernel.settings import Settings

END_SECONDS = 5.0


def end_services(settings: Settings) -> list[str]:
    """Ends every process that this state deployed and says which ("storefront in production"); a server that starts again brings
    them back. Nothing is recorded: what is live stays what is live."""
    from opsroom.kernel.store import Store

    if not _has_state(settings):
        return []
    store = Store(settings.database_url)
    try:
        with store.read() as tx:
            running = rows.instances(tx) if rows.exists(tx) else []
        ended = []
        for instance in running:
            process = Process.read(_pid_file(settings.state, instance.id)) or find(f"OPSROOM_INSTANCE={instance.id}")
            if process is not None and probe(process):
                process.terminate(within=END_SECONDS)
                ended.append(f"{instance.service} in {instance.environment}")
            with store.begin() as tx:
                rows.change_instance(tx, instance.id, state="stopped")
    finally:
        store.close()
    return ended


def end_proxy(settings: Settings) -> bool:
    """Ends the proxy of this state; False when none ran."""
    proxy = Proxy(settings.state / "proxy")
    ran = proxy.running()
    proxy.stop()
    return ran


def _has_state(settings: Settings) -> bool:
    return bool(settings.database) or (settings.state / "opsroom.sqlite").exists()


def _pid_file(state: Path, instance: str) -> Path:
    return state.absolute() / "instances" / f"{instance}.json"
