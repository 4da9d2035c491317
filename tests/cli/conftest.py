"""A real server over the kernel's operations, and the command line that asks it."""

from __future__ import annotations

import dataclasses
import importlib.util
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import uvicorn
from fastapi import FastAPI

from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.contracts.plane import Plane
from opsroom.kernel.settings import Settings
from opsroom.surfaces.api.app import build_api
from opsroom.surfaces.cli.root import main


def _of_the_api_tests() -> ModuleType:
    path = Path(__file__).parents[1] / "api" / "conftest.py"
    spec = importlib.util.spec_from_file_location("api_fixtures", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_api = _of_the_api_tests()
settings, journal_text, plane = _api.settings, _api.journal_text, _api.plane

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def address(plane: Plane) -> Iterator[str]:
    """The address of a server that runs in a thread of this process."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    app: FastAPI = build_api(plane, KERNEL_OPERATIONS)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`run("tokens", "list")` as `opsroom tokens list`: exit status, standard output, standard error."""
    for field in dataclasses.fields(Settings):
        monkeypatch.delenv(f"OPSROOM_{field.name.upper()}", raising=False)
    monkeypatch.setenv("OPSROOM_KEYS", str(settings.keys))
    monkeypatch.setenv("OPSROOM_STATE", str(settings.state))
    monkeypatch.setenv("TZ", "UTC")

    def asked(*arguments: str, url: str = "", serve: Callable[..., None] = _no_server) -> tuple[int, str, str]:
        if url:
            monkeypatch.setenv("OPSROOM_URL", url)
        capfd.readouterr()
        status = main(arguments, serve=serve)
        sys.stdout.flush()
        said = capfd.readouterr()
        return status, said.out, said.err

    return asked


def _no_server(_: Settings) -> None:
    raise AssertionError("this test starts no server")
