"""The main job, as a newcomer runs it: `opsroom demo --json`, and what makes it fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from queue import Queue
from typing import Any, cast

import pytest

from opsroom.app.areas import AREAS
from opsroom.surfaces.cli.demo.client import Api
from opsroom.surfaces.cli.demo.receivers import Receivers
from opsroom.surfaces.cli.demo.story import AREAS as TOLD
from opsroom.surfaces.cli.demo.story import StepNotDone, Story
from opsroom.surfaces.cli.demo.team import Team
from opsroom.workflows import sandbox


@pytest.mark.slow
def test_the_whole_story_happens(tmp_path: Path) -> None:
    if not (state := sandbox.probe()).available:
        pytest.skip(f"jobs cannot be sandboxed on this machine: {state.reason}")
    done = subprocess.run(
        [sys.executable, "-m", "opsroom", "demo", "--json", "--folder", str(tmp_path / "demo")],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr[-3000:]
    report = json.loads(done.stdout)
    missing = [step for step in report["steps"] if not step["done"]]
    assert not missing and done.returncode == 0, f"{missing}\n{done.stderr[-3000:]}"
    assert set(report["areas"]) == set(AREAS) and all(report["areas"].values())
    assert all(one["failed"] in (0, None) for one in report["deployments"])
    assert [one["failed"] for one in report["deployments"] if one["kind"] == "rollback"] == [0]
    assert {page["provider"]: page["delivered"] for page in report["incident"]["pages"]} == {
        "webhook": False,
        "smtp": True,
    }
    assert report["cost"]["sum"] == report["cost"]["sum_of_parts"] > 0
    assert all(report["ledger"]["tamper_found"].values()) and report["ledger"]["verified"]


class TenAreas:
    """An API of a plane from which one area was taken."""

    def __init__(self, without: str) -> None:
        self.without = without

    def get(self, path: str, **query: Any) -> Any:
        return [{"name": name, "events": []} for name in AREAS if name != self.without]


@pytest.mark.parametrize("area", AREAS)
def test_a_story_without_an_area_fails(area: str, tmp_path: Path) -> None:
    team = Team(folder=tmp_path, example=tmp_path)
    story = Story(team=team, api=cast(Api, TenAreas(area)), server=None, tell=lambda text: None)
    with pytest.raises(StepNotDone, match="the areas are"):
        story.areas()


def test_the_story_knows_the_areas_of_the_house() -> None:
    assert sorted(TOLD) == sorted(AREAS)


def test_receivers_confirm_what_they_take_and_nothing_else() -> None:
    import smtplib
    import urllib.error
    import urllib.request
    from email.message import EmailMessage

    confirmed: Queue[tuple[str, str]] = Queue()
    receivers = Receivers(lambda page, receiver: confirmed.put((page, receiver)), failing="webhook")
    page = "pag_" + "0" * 22
    try:
        body = json.dumps({"page": page}).encode()
        request = urllib.request.Request(receivers.webhook_url, body, {"Content-Type": "application/json"})
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request)
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = f"page {page}", "a@example.com", "b@example.com"
        message.set_content(f"see {page}")
        host, _, port = receivers.smtp_address.partition(":")
        with smtplib.SMTP(host, int(port)) as client:
            client.send_message(message)
        assert confirmed.get(timeout=10) == (page, "smtp")
        receivers.failing = ""
        urllib.request.urlopen(request).close()
        assert confirmed.get(timeout=10) == (page, "webhook") and confirmed.empty()
    finally:
        receivers.close()
