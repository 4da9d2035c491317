"""The shop's services: their own checks pass, they serve, they stop without dropping a request, and the story's defect is slow."""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop"
SERVICES = ("storefront", "inventory")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Process:
    """A running service; `lines` are what it logged, whole only after `stop`."""

    def __init__(self, folder: Path, module: str, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        given = {"PATH": "/usr/bin:/bin", "PORT": str(self.port), "VERSION": "v1", **environment}
        command = [sys.executable, "-B", "-m", module]
        self.process = subprocess.Popen(command, cwd=folder, env=given, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.lines = []
        while not self.lines or json.loads(self.lines[-1])["message"] != "listening":
            self.lines.append(self.process.stdout.readline())
        self._reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout or ()))
        self._reader.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(15)
        self._reader.join()
        return code


@contextmanager
def running(folder: Path, module: str, **environment: str) -> Iterator[Process]:
    process = Process(folder, module, **environment)
    try:
        yield process
    finally:
        process.stop()


@contextmanager
def shop(
    tmp_path: Path, storefront: Path = SHOP / "storefront", **environment: str
) -> Iterator[tuple[Process, Process]]:
    """Inventory and a storefront that asks it."""
    with (
        running(SHOP / "inventory", "inventory", DATA_DIR=str(tmp_path)) as inventory,
        running(storefront, "storefront", INVENTORY_URL=inventory.url, **environment) as front,
    ):
        yield inventory, front


@pytest.mark.parametrize("service", SERVICES)
def test_its_own_checks_pass(service: str, tmp_path: Path) -> None:
    for arguments in (["lint"], ["test", str(tmp_path / "results.xml")]):
        command = [sys.executable, "-B", "tools/check.py", *arguments]
        done = subprocess.run(command, cwd=SHOP / service, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    suite = ElementTree.parse(tmp_path / "results.xml").getroot()
    assert suite.tag == "testsuite" and int(suite.attrib["tests"]) == len(suite.findall("testcase")) >= 8
    assert suite.attrib["failures"] == suite.attrib["errors"] == "0"


def test_what_both_services_share_is_the_same_file() -> None:
    for name in ("{0}/{0}/web.py", "{0}/tools/check.py"):
        one, other = ((SHOP / name.format(service)).read_bytes() for service in SERVICES)
        assert one == other


def test_the_checks_find_faults(tmp_path: Path) -> None:
    folder = shutil.copytree(SHOP / "storefront", tmp_path / "copy")
    (folder / "storefront" / "bad.py").write_text("import os\nx = (1 is 1)\n")
    (folder / "tests" / "test_bad.py").write_text(
        "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_no(self):\n        self.fail('because')\n"
    )
    checks = [sys.executable, "-B", "tools/check.py"]
    lint = subprocess.run([*checks, "lint"], cwd=folder, capture_output=True, text=True)
    assert lint.returncode == 1 and "storefront/bad.py" in lint.stdout
    tests = subprocess.run([*checks, "test", "r.xml"], cwd=folder, capture_output=True, text=True)
    assert tests.returncode == 1
    failure = ElementTree.parse(folder / "r.xml").getroot().find("testcase/failure")
    assert failure is not None and failure.attrib["message"] == "AssertionError: because"


def test_they_serve_and_the_trace_goes_through_both(tmp_path: Path) -> None:
    with shop(tmp_path) as (inventory, front):
        status, page = front.ask("GET", "/", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
        assert status == 200
        products = json.loads(page)["products"]
        assert len(products) == 24 and all(product["stock"] >= 40000 for product in products)
        status, answer = front.ask("POST", "/order", {"id": "assam", "quantity": 3})
        assert status == 201 and json.loads(answer)["total_cents"] == 3270
        assert json.loads(front.ask("GET", "/products/assam")[1])["stock"] == 40497
        assert front.ask("GET", "/nothing")[0] == 404
        metrics = front.ask("GET", "/metrics")[1].decode()
        assert 'http_requests_total{method="GET",path="/",code="200"} 1' in metrics
        assert front.stop() == inventory.stop() == 0
        for process in (inventory, front):
            logged = [json.loads(line) for line in process.lines]
            assert any(line.get("trace_id") == TRACE for line in logged)
            assert logged[-1]["message"] == "stopped"


def test_metrics_are_what_prometheus_reads(tmp_path: Path) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    with shop(tmp_path) as (_, front):
        front.ask("GET", "/")
        families = {
            family.name: family for family in text_string_to_metric_families(front.ask("GET", "/metrics")[1].decode())
        }
    assert families["http_request_duration_seconds"].type == "histogram"
    buckets = [s.value for s in families["http_request_duration_seconds"].samples if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets) and buckets[-1] == 1
    assert {"http_requests", "build_info", "process_start_time_seconds"} <= families.keys()


def test_inventory_that_is_gone_is_told(tmp_path: Path) -> None:
    with shop(tmp_path) as (inventory, front):
        assert front.ask("GET", "/")[0] == 200
        inventory.stop()
        status, answer = front.ask("GET", "/")
        assert status == 503 and "inventory does not answer" in json.loads(answer)["error"]


def test_requests_in_flight_are_answered_on_the_way_out(tmp_path: Path) -> None:
    """Clients that keep connections alive ask without pause while the service is told to stop: every request that it took is answered."""
    with running(SHOP / "inventory", "inventory", DATA_DIR=str(tmp_path)) as inventory:
        cut, answered, asking = [], [0] * 8, threading.Barrier(9)

        def client(number: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", inventory.port, timeout=10)
            asking.wait()
            while True:
                try:
                    connection.request("GET", "/stock?ids=assam")
                except ConnectionError:
                    return
                try:
                    answer = connection.getresponse()
                    answer.read()
                except (ConnectionError, http.client.HTTPException) as error:
                    cut.append(error)
                    return
                answered[number] += 1
                if answer.headers.get("Connection") == "close":
                    return

        threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        asking.wait()
        while sum(answered) < 100:
            time.sleep(0.005)
        began = time.monotonic()
        assert inventory.stop() == 0
        for thread in threads:
            thread.join()
    assert cut == []
    assert all(answered)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x00\xff\r\n\r\n", b"400"),
        (b"GET / HTTP/9.0\r\n\r\n", b"505"),
        (b"POST /reservations HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"411"),
        (b"POST /reservations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"GET /" + b"a" * 70_000, b"414"),
        (b"GET /health HTTP/1.1\r\nHo", b""),
    ],
)
def test_bad_requests_harm_nobody(raw: bytes, status: bytes, tmp_path: Path) -> None:
    with running(SHOP / "inventory", "inventory", DATA_DIR=str(tmp_path)) as inventory:
        with socket.create_connection(("127.0.0.1", inventory.port), timeout=5) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            assert status in connection.recv(65536).partition(b"\r\n")[0]
        assert inventory.ask("GET", "/health")[0] == 200


def test_the_same_files_pack_to_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        folder = shutil.copytree(SHOP / "inventory", tmp_path / name)
        (folder / "inventory" / "__pycache__").mkdir(exist_ok=True)
        (folder / "inventory" / "__pycache__" / f"{name}.pyc").write_bytes(name.encode())
        workflow = (folder / ".opsroom" / "workflows" / "pipeline.yml").read_text("utf-8")
        lines = workflow[workflow.index("tar --create") :].splitlines()
        command = f"{lines[0].rstrip(chr(92))} {lines[1].strip()}"
        subprocess.run(command, shell=True, cwd=folder, check=True)
        digests.add(hashlib.sha256((folder / "inventory.tar").read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("change", sorted(path.name for path in (SHOP / "story").iterdir() if path.is_dir()))
def test_a_change_of_the_story_passes_the_services_tests(change: str, tmp_path: Path) -> None:
    service = change.partition("-")[0]
    folder = shutil.copytree(SHOP / service, tmp_path / service)
    replaced = [path.relative_to(SHOP / "story" / change) for path in (SHOP / "story" / change).rglob("*.py")]
    assert replaced and all((folder / path).is_file() for path in replaced)
    shutil.copytree(SHOP / "story" / change, folder, dirs_exist_ok=True)
    for arguments in (["lint"], ["test"]):
        command = [sys.executable, "-B", "tools/check.py", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    assert (SHOP / "story" / change / "MESSAGE").read_text("utf-8").strip()


@pytest.mark.slow
def test_the_defect_slows_the_page_of_all_products_and_hardly_that_of_a_few(tmp_path: Path) -> None:
    bad = shutil.copytree(SHOP / "storefront", tmp_path / "bad")
    shutil.copytree(SHOP / "story" / "storefront-stock-per-product", bad, dirs_exist_ok=True)
    medians = {}
    for name, folder, catalog in (
        ("good", SHOP / "storefront", "full"),
        ("bad", bad, "full"),
        ("sample", bad, "sample"),
    ):
        with shop(tmp_path, folder, CATALOG=catalog) as (_, front):
            medians[name] = statistics.median(_seconds(front) for _ in range(15))
    assert medians["bad"] > 8 * medians["good"]
    assert medians["bad"] > 3 * medians["sample"]


def _seconds(front: Process) -> float:
    began = time.perf_counter()
    assert front.ask("GET", "/")[0] == 200
    return time.perf_counter() - began
