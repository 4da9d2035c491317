"""The pages of delivery over a real plane: empty, and with a run, an artefact and deployments."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from opsroom.areas.delivery import AREA
from opsroom.areas.delivery.operations.deployments import create_deployment
from opsroom.areas.delivery.operations.runs import list_runs
from opsroom.areas.delivery.pages.drawing import markdown
from opsroom.areas.delivery.triggering import start_runs
from opsroom.areas.delivery.watching import watch
from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.kernel.actors import Actor, csrf_token
from opsroom.surfaces.web import assets
from opsroom.surfaces.web.app import build_web
from opsroom.surfaces.web.security import COOKIE

COUNT = """\
name: count <stock>
on:
  push:
  workflow_dispatch:
    inputs:
      product: {type: string, required: true, description: The product}
      strict: {type: boolean, default: true}
      where: {type: environment}
jobs:
  count:
    runs-on: ubuntu-latest
    steps:
      - run: |
          echo "::group::counting"
          echo "one <b>bold</b>"
          echo "::endgroup::"
          echo "::error file=a.py,line=3::too few"
          echo "### Counted | <script>alert(1)</script>" >> "$GITHUB_STEP_SUMMARY"
          exit 1
  after: {runs-on: ubuntu-latest, needs: count, steps: [{run: "true"}]}
"""
PATHS = (
    "/", "/runs", "/workflows", "/deployments", "/environments", "/artifacts", "/repositories", "/services", "/search?q=tiny",
)  # fmt: skip


@pytest.fixture
def web(shop: Any) -> TestClient:
    if missing := assets.missing_assets():
        pytest.skip(f"front-end files are missing ({', '.join(missing)}); `python hatch_build.py` fetches them")
    app = build_web(shop.plane, [AREA], identify=lambda request: Actor.system("test"), operations=KERNEL_OPERATIONS)
    return TestClient(app, base_url="http://127.0.0.1:8600", cookies={COOKIE: "session"})


def page(web: TestClient, path: str) -> str:
    reply = web.get(path)
    assert reply.status_code == 200, (path, reply.text)
    assert "this part failed" not in reply.text, path
    assert len(reply.content) < 300_000
    return reply.text


def main(text: str) -> str:
    return text.partition("<main")[2].partition("</main>")[0]


@pytest.mark.parametrize("path", PATHS)
def test_every_page_stands_with_nothing_to_show(web: TestClient, path: str) -> None:
    assert "<h1" in page(web, path)


def test_what_does_not_exist_says_so(web: TestClient) -> None:
    for path in (
        "/runs/run_x",
        "/deployments/dep_x",
        "/environments/prod",
        "/artifacts/sha256:00",
        "/repositories/x",
        "/runs/run_x/log",
    ):
        assert web.get(path).status_code == 404, path
    assert web.get("/workflows/start").status_code == 422


@pytest.mark.slow
def test_a_run_from_its_graph_to_its_failing_line(make_shop: Any, git: Any) -> None:
    shop = make_shop(unsandboxed="*")
    web = TestClient(
        build_web(shop.plane, [AREA], identify=lambda request: Actor.system("test")), base_url="http://127.0.0.1:8600",
        cookies={COOKIE: "session"},
    )  # fmt: skip
    for name in ("ops", "tiny"):
        git.create(name)
    shop.environment()
    path = ".opsroom/workflows/count.yml"
    git.push("tiny", {path: COUNT})
    shop.plane.engine.start()
    watch(shop.plane)
    start_runs(shop.plane, shop.events("change.pushed")[0])
    run = list_runs(shop.call).items[0].id
    assert shop.plane.engine.wait(run, 60).conclusion == "failure"
    text = main(page(web, f"/runs/{run}"))
    assert "count &lt;stock&gt;" in text and "too few" in text and "one &lt;b&gt;bold&lt;/b&gt;" in text
    assert 'data-fold="closed"' in text and "First error" in text and "<script>alert" not in text
    assert "Run the failed jobs again" in text and re.search(r'href="/runs/[^"]+job=after"', text)
    last = max(int(number) for number in re.findall(r'id="L(\d+)"', text))
    fragment = web.get(f"/runs/{run}/log", params={"job": "count", "after": str(last - 1), "fragment": "1"}).text
    assert re.findall(r'id="L(\d+)"', fragment) == [str(last)] and "data-done" in fragment and "<html" not in fragment
    assert "count" in page(web, f"/runs/{run}/log?job=count")
    assert "bold" not in main(page(web, f"/runs/{run}?job=after"))
    assert "failed" in main(page(web, "/")) and "#1" in page(web, "/search?q=count")
    for other in ("/runs", "/runs?conclusion=failure&since=1h", "/services/tiny", "/repositories/tiny", "/workflows"):
        assert "count &lt;stock&gt;" in main(page(web, other)), other
    form = main(page(web, f"/workflows/start?repository=tiny&workflow={path}"))
    assert 'name="inputs.product"' in form and "<option>production</option>" in form
    sent = {
        "_csrf": csrf_token("session"), "_back": "/runs", "repository": "tiny", "workflow": path, "inputs.product": "tea",
        "inputs.strict": "false", "inputs.where": "production",
    }  # fmt: skip
    assert web.post("/verbs/workflows.dispatch", data=sent, follow_redirects=False).status_code == 303
    [event] = shop.events("workflow.dispatched")
    assert event.data["inputs"] == {"product": "tea", "strict": "false", "where": "production"}


@pytest.mark.slow
def test_a_deployment_shows_its_strategy_its_traffic_and_the_way_back(web: TestClient, shop: Any) -> None:
    shop.environment()
    one, two = shop.artifact("111111111111"), shop.artifact("222222222222")
    views = [
        create_deployment(shop.call, service="tiny", environment="production", digest=digest) for digest in (one, two)
    ]
    text = main(page(web, f"/deployments/{views[1].id}"))
    assert "Roll back to 111111111111" in text and "Drain the old" in text and "222222222222 :" in text
    assert "no area answers TrafficDuring" in text and "Not known" in text
    assert "Deploy 111111111111 again" in main(page(web, f"/deployments/{views[0].id}"))
    for path in (
        "/deployments",
        "/environments",
        "/environments/production",
        "/services/tiny",
        "/services",
        f"/artifacts/{two}",
    ):
        assert "222222222222" in main(page(web, path)), path
    artifact = main(page(web, f"/artifacts/{two}"))
    assert (
        "verified" in artifact and "Deploy to production" in artifact and "https://slsa.dev/provenance/v1" in artifact
    )


def test_markdown_of_a_job_holds_no_html_of_its_own() -> None:
    html = str(markdown("# A <img src=x onerror=y>\n\n[x](javascript:alert(1)) | a | b |\n"))
    assert "<img" not in html and 'href="javascript' not in html and "<h1>" in html
