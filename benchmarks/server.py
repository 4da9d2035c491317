"""A server with the example team: how soon it listens, what memory it takes, and how fast its pages are at the story's end."""

from __future__ import annotations

import html
import http.cookiejar
import re
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.processes import own_megabytes
from benchmarks.rows import row
from opsroom.app.areas import load_areas
from opsroom.surfaces.cli.demo.client import wait_for
from opsroom.surfaces.cli.demo.stage import Stage, set_up

STARTS = 3
SETTLE_SECONDS = 10.0
REQUESTS = 5
LISTENING, IDLE, PAGE = 2.0, 450.0, 200.0
FINDING_SECONDS = 60.0
SECRET = "AKIA" + "QYLPMN5HFIQR7XYA"
"""Of the shape of a key, and no key: what the story itself never has, a finding, is made of it."""
FRAME = ("/", "/services", "/services/{name}", "/changes", "/changes/{id}", "/search")


def measure() -> list[dict[str, Any]]:
    """Starts on fresh state, then the whole story on the last of these servers. A story that fails is said, and measured as far as it got."""
    listening = [_listening() for _ in range(STARTS - 1)]
    with tempfile.TemporaryDirectory(prefix="opsroom-bench-") as folder:
        stage = set_up(Path(folder))
        try:
            listening.append(stage.listening)
            time.sleep(SETTLE_SECONDS)
            rows = [row("start.listening", "kernel", "s", median(listening), aim=LISTENING)]
            rows += [row("memory.idle", "kernel", "MB", _memory(stage), aim=IDLE)]
            story = stage.story(lambda text: print(f"  {text}", flush=True), killing=False)
            story.run()
            whole = all(step.done for step in story.steps)
            rows += [row("memory.story", "kernel", "MB", _memory(stage) if whole else None)]
            if whole:
                _leak(stage)
            return rows + _pages(stage, whole=whole)
        finally:
            stage.close()


def _listening() -> float:
    with tempfile.TemporaryDirectory(prefix="opsroom-bench-") as folder:
        stage = set_up(Path(folder))
        stage.close()
        return stage.listening


def _memory(stage: Stage) -> float:
    assert stage.server.serving is not None
    found = own_megabytes(stage.server.serving.pid, stage.server.state)
    for name, megabytes in found.items():
        print(f"  {megabytes:7.1f} MB  {name}")
    return sum(found.values())


def _leak(stage: Stage) -> None:
    """Pushes a secret, and waits for its finding."""
    stage.team.push("inventory", "Read the stock from the bucket", "jonas", {"bucket.py": f'KEY = "{SECRET}"\n'})
    wait_for("a finding", lambda: stage.api.items("findings") or None, seconds=FINDING_SECONDS)


def _pages(stage: Stage, *, whole: bool) -> list[dict[str, Any]]:
    """One row for each page there is, on an example of it that the other pages link to."""
    owners = dict.fromkeys(FRAME, "kernel") | {page.path: area.name for area in load_areas() for page in area.pages}
    browser = Browser(stage.server.url, stage.api.post("sign-in-links")["url"])
    examples = _examples(browser, owners)
    for run in stage.api.items("runs", limit=1):  # A page takes the log's address only while the job runs.
        [job, *_] = stage.api.get(f"runs/{run['id']}")["jobs"]
        examples.setdefault("/runs/{id}/log", f"/runs/{run['id']}/log?job={job['id']}")
    return [
        row(f"page.{path}", area, "ms", browser.milliseconds(examples[path]) if whole and path in examples else None, aim=PAGE)
        for path, area in owners.items()
    ]  # fmt: skip


def _examples(browser: Browser, owners: Mapping[str, str]) -> dict[str, str]:
    """An address for each page by its pattern: itself where that answers, else the first link to such a page on any other."""
    patterns = {path: re.compile(re.sub(r"\{\w+:path\}", ".+", re.sub(r"\{\w+\}", "[^/]+", path))) for path in owners}
    found: dict[str, str] = {}
    links = deque(path for path in owners if "{" not in path)
    while links:
        link = links.popleft()
        bare = link.partition("?")[0]
        pattern = bare if bare in patterns else next((one for one, it in patterns.items() if it.fullmatch(bare)), "")
        if not pattern or pattern in found:
            continue
        try:
            further = browser.links(link)
        except urllib.error.HTTPError:
            continue  # A page that wants something in its query: other pages link to it with that.
        found[pattern] = link
        links.extend(further)
    return found


class Browser:
    """Signed in to the pages, as a person's browser would be."""

    def __init__(self, url: str, link: str) -> None:
        self._url = url
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)
        text = urllib.parse.parse_qs(urllib.parse.urlparse(link).query)["link"][0]
        form = urllib.parse.urlencode({"link": text}).encode()
        self._opener.open(urllib.request.Request(f"{url}/sign-in", form, {"Origin": url})).close()

    def get(self, path: str) -> str:
        with self._opener.open(self._url + path) as answer:
            return str(answer.read().decode())

    def links(self, path: str) -> Iterable[str]:
        """Addresses of this server that a page links to."""
        return dict.fromkeys(
            html.unescape(found.partition("#")[0]) for found in re.findall(r'="(/[^"]*)"', self.get(path))
        )

    def milliseconds(self, path: str) -> float:
        """The median of some requests after a first one."""
        self.get(path)
        taken = []
        for _ in range(REQUESTS):
            began = time.perf_counter()
            self.get(path)
            taken.append((time.perf_counter() - began) * 1000)
        return median(taken)
