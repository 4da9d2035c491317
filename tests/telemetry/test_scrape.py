"""Scraping, through a real HTTP server and through a target told to fail."""

from __future__ import annotations

import gzip
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from opsroom.kernel.clock import FakeClock
from opsroom.kernel.journal import Journal
from opsroom.kernel.outbound import Guard
from opsroom.telemetry.fetch import Fetched, FetchFailed, fetch
from opsroom.telemetry.port import Metadata, Sample, Written, is_stale, labels
from opsroom.telemetry.scrape import Scraper, Target, TargetState


class Kept:
    """A telemetry store that only keeps what is written."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.told: list[Metadata] = []

    def write_samples(self, batch: list[Sample]) -> Written:
        self.samples += batch
        return Written(len(batch))

    def write_metadata(self, items: tuple[Metadata, ...]) -> None:
        self.told += items

    def of(self, name: str) -> list[Sample]:
        return [s for s in self.samples if ("__name__", name) in s.labels]


TARGET = Target(url="http://shop/metrics", labels=labels({"job": "shop", "instance": "shop:1"}))


@pytest.fixture
def scene() -> tuple[Kept, list[Target], dict[str, str], list[TargetState], Scraper]:
    kept, targets, page, told = Kept(), [TARGET], {"body": "requests 1\n"}, []
    clock = FakeClock()

    def get(target: Target) -> Fetched:
        clock.advance(1)
        if "fail" in page:
            raise FetchFailed(page["fail"])
        return Fetched(page["body"].encode())

    journal = Journal(clock, out=io.StringIO())
    scraper = Scraper(kept, lambda: targets, clock, journal, changed=told.append, get=get)  # type: ignore[arg-type]
    return kept, targets, page, told, scraper


def test_a_scrape_writes_samples_with_the_targets_labels(scene) -> None:  # type: ignore[no-untyped-def]
    kept, _, page, told, scraper = scene
    page["body"] = '# TYPE requests counter\nrequests{job="own",code="200"} 7\n'
    scraper.round()
    (sample,) = kept.of("requests")
    assert dict(sample.labels) == {
        "__name__": "requests",
        "code": "200",
        "exported_job": "own",
        "job": "shop",
        "instance": "shop:1",
    }
    assert sample.value == 7
    assert [s.value for s in kept.of("up")] == [1.0]
    assert [s.value for s in kept.of("scrape_samples_scraped")] == [1.0]
    assert kept.told == [Metadata("requests", "counter")]
    assert [s.health for s in told] == ["up"]


def test_what_disappears_is_marked_stale(scene) -> None:  # type: ignore[no-untyped-def]
    kept, targets, page, told, scraper = scene
    page["body"] = "a 1\nb 1\nold 1 1000\n"
    scraper.round()
    page["body"] = "a 2\n"
    scraper.round()
    assert [is_stale(s.value) for s in kept.of("b")] == [False, True]
    assert [is_stale(s.value) for s in kept.of("old")] == [False]
    page["fail"] = "connection refused"
    scraper.round()
    assert [is_stale(s.value) for s in kept.of("a")] == [False, False, True]
    assert [s.value for s in kept.of("up")] == [1.0, 1.0, 0.0]
    assert scraper.states()[0].error == "connection refused"
    targets.clear()
    scraper.round()
    assert is_stale(kept.of("up")[-1].value)
    assert scraper.states() == ()
    assert [s.health for s in told] == ["up", "down"]


def test_a_body_that_is_no_exposition_is_down_with_its_line(scene) -> None:  # type: ignore[no-untyped-def]
    kept, _, page, _, scraper = scene
    page["body"] = "<html>\n"
    scraper.round()
    assert scraper.states()[0].health == "down"
    assert "line 1" in scraper.states()[0].error
    assert [s.value for s in kept.of("up")] == [0.0]


class Pages(BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, tuple[int, dict[str, str], bytes]]] = {}

    def do_GET(self) -> None:
        if self.path == "/slow":
            threading.Event().wait(1)
        status, headers, body = self.answers.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output quiet."""


@pytest.fixture
def site() -> Iterator[str]:
    Pages.answers = {
        "/metrics": (200, {"Content-Type": "text/plain; version=0.0.4"}, b"a 1\n"),
        "/zipped": (200, {"Content-Encoding": "gzip"}, gzip.compress(b"b 2\n" * 1000)),
        "/bomb": (200, {"Content-Encoding": "gzip"}, gzip.compress(b"0" * 50_000_000)),
        "/moved": (302, {"Location": "/metrics"}, b""),
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_fetch(site: str) -> None:
    assert fetch(f"{site}/metrics", timeout=5, limit=100) == Fetched(b"a 1\n", "text/plain; version=0.0.4")
    assert fetch(f"{site}/zipped", timeout=5, limit=10_000).body == b"b 2\n" * 1000


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/missing", "HTTP 404"),
        ("/moved", "HTTP 302"),
        ("/bomb", "more than 10,000 bytes"),
        ("/slow", "did not answer within 0.2 s"),
    ],
)
def test_fetch_says_why_it_failed(site: str, path: str, message: str) -> None:
    with pytest.raises(FetchFailed, match=message):
        fetch(f"{site}{path}", timeout=0.2 if path == "/slow" else 5, limit=10_000)


def test_fetch_from_nowhere() -> None:
    with pytest.raises(FetchFailed, match="nothing listens"):
        fetch("http://127.0.0.1:9/metrics", timeout=1, limit=10)
    with pytest.raises(FetchFailed, match="no http or https URL"):
        fetch("file:///etc/passwd", timeout=1, limit=10)


def test_the_loop_scrapes_by_itself(site: str) -> None:
    seen = threading.Event()
    kept, clock = Kept(), FakeClock()
    target = Target(url=f"{site}/metrics", labels=(("job", "x"),), interval=0.05)
    scraper = Scraper(
        kept,  # type: ignore[arg-type]
        lambda: [target],
        clock,
        Journal(clock, out=io.StringIO()),
        changed=lambda state: seen.set(),
    )
    scraper.start()
    assert seen.wait(5)
    scraper.close()
    assert kept.of("a")


def test_an_address_that_a_person_wrote_is_guarded_and_the_one_connected_to() -> None:
    asked = []

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Host"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"up 1\n")

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://db.example:{server.server_port}/metrics"
    try:
        refusing = Guard(resolve=lambda host, port: ["127.0.0.1"]).address
        with pytest.raises(FetchFailed, match="internal address 127.0.0.1.*OPSROOM_OUTBOUND_ALLOW"):
            fetch(url, timeout=2, limit=1000, address=refusing)
        assert not asked
        allowing = Guard("127.0.0.0/8", resolve=lambda host, port: ["127.0.0.1"]).address
        assert fetch(url, timeout=2, limit=1000, address=allowing).body == b"up 1\n"
        assert asked == [f"db.example:{server.server_port}"]
    finally:
        server.shutdown()
        server.server_close()
