"""The web over a fake plane: as an ASGI application for quick tests, as a real server with a real Chromium for the slow ones."""

from __future__ import annotations

import io
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parent))

import fake_plane as fake

from opsroom.contracts.plane import Plane
from opsroom.kernel.actors import csrf_token
from opsroom.kernel.clock import FakeClock
from opsroom.surfaces.web import assets
from opsroom.surfaces.web.app import build_web
from opsroom.surfaces.web.security import COOKIE

HOST = "http://127.0.0.1:8600"
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-gpu",
]


@pytest.fixture(scope="session")
def front_end_files() -> None:
    if missing := assets.missing_assets():
        pytest.skip(f"front-end files are missing ({', '.join(missing)}); `python hatch_build.py` fetches them")


@pytest.fixture
def journal_text() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def plane(tmp_path: Path, clock: FakeClock, journal_text: io.StringIO) -> Iterator[Plane]:
    made = fake.build_plane(tmp_path, clock, journal_text)
    yield made
    made.store.close()


@pytest.fixture
def floor() -> fake.Floor:
    return fake.Floor()


@pytest.fixture
def web(front_end_files: None, plane: Plane, floor: fake.Floor) -> Starlette:
    return build(plane, floor)


def build(plane: Plane, floor: fake.Floor) -> Starlette:
    return build_web(
        plane,
        [floor.area()],
        operations=fake.kernel_operations(),
        folders={"floor": fake.TEMPLATES / "floor"},
    )


@pytest.fixture
def anonymous(web: Starlette) -> TestClient:
    return TestClient(web, base_url=HOST, follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture
def client(web: Starlette, plane: Plane) -> TestClient:
    """Signed in as an admin."""
    return as_person(web, plane, "person:admin")


def as_person(web: Starlette, plane: Plane, person: str) -> TestClient:
    session = fake.sign_in(plane, person)
    signed_in = TestClient(
        web, base_url=HOST, follow_redirects=False, raise_server_exceptions=False, cookies={COOKIE: session}
    )
    signed_in.headers["x-csrf-token"] = csrf_token(session)
    return signed_in


@pytest.fixture
def signed_in_as(web: Starlette, plane: Plane) -> Callable[[str], TestClient]:
    """`signed_in_as("person:vera")` is that person's browser."""
    return partial(as_person, web, plane)


@pytest.fixture
def viewer(web: Starlette, plane: Plane) -> TestClient:
    """Signed in as someone who may read everything and change nothing."""
    person = plane.actors.people.add("vera", "system:test")
    plane.actors.people.grant(person.id, "viewer", "system:test")
    return as_person(web, plane, person.id)


@pytest.fixture
def record(plane: Plane) -> Callable[..., Any]:
    return lambda type, *subjects, **rest: fake.record(plane, type, *subjects, **rest)


@pytest.fixture
def history(plane: Plane) -> list[Any]:
    return fake.some_history(plane)


@dataclass
class Running:
    """A real server over its own plane. `stop` and `start` keep the address."""

    plane: Plane
    make: Callable[[], Starlette]
    port: int
    session: str = ""
    server: Any = None
    thread: Any = None
    app: Any = field(default=None)
    floor: fake.Floor = field(default_factory=fake.Floor)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.app = self.make()
        config = uvicorn.Config(
            self.app, host="127.0.0.1", port=self.port, log_level="error", timeout_graceful_shutdown=2
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 10
        while not self.server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)

    def stop(self) -> float:
        """Ends the streams and the server; how many seconds that took."""
        began = time.monotonic()
        self.app.state.live.stop()
        self.server.should_exit = True
        self.thread.join(10)
        return time.monotonic() - began


@pytest.fixture
def running(front_end_files: None, tmp_path: Path) -> Iterator[Running]:
    """A server with some history, on the machine's own time."""
    plane, floor = fake.build_plane(tmp_path), fake.Floor()
    fake.some_history(plane)
    made = Running(plane=plane, make=lambda: build(plane, floor), port=free_port())
    made.floor = floor
    made.session = fake.sign_in(plane)
    plane.ledger.seal()
    made.start()
    yield made
    made.stop()
    plane.store.close()


@pytest.fixture
def serve(front_end_files: None) -> Iterator[Callable[[Plane, Callable[[], Starlette]], Running]]:
    """`serve(plane, make)` starts a server over a plane of the test's own."""
    made: list[Running] = []

    def start(plane: Plane, make: Callable[[], Starlette]) -> Running:
        one = Running(plane=plane, make=make, port=free_port(), session=fake.sign_in(plane))
        made.append(one)
        one.start()
        return one

    yield start
    for one in made:
        one.stop()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser for one module: while it is open, Playwright's event loop runs in this thread, and other tests need their own."""
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium here; install it as /usr/bin/chromium to run the browser tests")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page of a signed-in reader, and what the browser saw while it was open."""

    page: Any
    url: str
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def go(self, path: str) -> int:
        """Opens a page; its status."""
        answer = self.page.goto(self.url + path)
        self.page.wait_for_selector("html[data-ready]")
        status: int = answer.status
        return status

    def wait_live(self) -> None:
        self.page.wait_for_selector("[data-live-state=on]")


@pytest.fixture
def visit(visit_of: Callable[..., Visit], running: Running) -> Callable[..., Visit]:
    """`visit("/", width=390, theme="dark")` opens a page as an admin."""
    return partial(visit_of, running)


@pytest.fixture
def visit_of(chromium: Any) -> Iterator[Callable[..., Visit]]:
    """`visit_of(server, "/", width=390)` opens a page of a server as an admin."""
    contexts = []

    def make(
        running: Running, path: str = "/", *, width: int = 1280, theme: str = "light", motion: str = "no-preference"
    ) -> Visit:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion=motion
        )
        context.set_default_timeout(30_000)
        context.add_cookies([{"name": COOKIE, "value": running.session, "url": running.url}])
        contexts.append(context)
        made = Visit(context.new_page(), running.url)
        made.page.on("request", lambda request: made.requests.append(request.url))
        made.page.on("pageerror", lambda error: made.problems.append(str(error)))
        made.page.on(
            "console", lambda said: made.problems.append(said.text) if said.type in {"error", "warning"} else None
        )
        made.go(path)
        return made

    yield make
    for context in contexts:
        context.close()
