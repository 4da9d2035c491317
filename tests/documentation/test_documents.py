"""Documents change when what they tell of changes, and only then; dead links are told once; runbooks are found in order."""

from __future__ import annotations

import re

import pytest

from area_plane import AreaPlane
from opsroom.areas.documentation.making import _node
from opsroom.areas.documentation.model import Page, search
from opsroom.areas.documentation.operations import list_documents, list_links, read_document, search_documents
from opsroom.contracts.facts import RunbookFor
from opsroom.kernel.errors import NotFound

PIPELINE = """\
name: deploy | all
on: [push]
jobs:
  build: {runs-on: ubuntu-latest, steps: [{uses: actions/checkout@v4}]}
  end: {runs-on: ubuntu-latest, needs: build, steps: [{run: "true"}]}
  a-b: {runs-on: ubuntu-latest, needs: [build, end], steps: [{run: "true"}]}
  a_b: {runs-on: ubuntu-latest, steps: [{run: "true"}]}
"""
RULES = """\
groups:
  - name: g
    rules:
      - alert: Slow
        expr: up == 0
      - alert: Down
        expr: up == 0
        annotations: {runbook_url: runbooks/down.md}
"""
RUNBOOK = (
    "---\ntitle: %s\nservice: %s\nalerts: [%s]\n---\n# First look\n\nLook at [the map](../docs/index.md#the-map).\n"
)
FILES = {
    "docs/index.md": "# The shop\n\nWhat we sell: tea.\n\n## The map\n\n[runbook](../runbooks/slow.md), [file](../opsroom/environments.yaml)\n",
    "docs/storefront.md": "---\nservice: storefront\ntags: [x]\n---\nNo heading, a darjeeling.\n",
    "runbooks/slow.md": RUNBOOK % ("It is slow", "storefront", "Slow"),
    "runbooks/down.md": RUNBOOK % ("It is down", "inventory", ""),
    "rules/shop.yml": RULES,
    ".opsroom/workflows/pipeline.yml": PIPELINE,
}  # fmt: skip


@pytest.fixture
def ready(room: AreaPlane) -> AreaPlane:
    room.decide(FILES)
    return room


def paths(room: AreaPlane, kind: str = "") -> list[str]:
    return [one.path for one in list_documents(room.call, kind=kind)]


def test_what_is_written_and_what_is_made_stand_together(ready: AreaPlane) -> None:
    assert paths(ready) == [
        "configuration", "docs/index.md", "docs/storefront.md", "environments/production", "environments/staging",
        "pipelines/ops/pipeline.yml", "runbooks/down.md", "runbooks/slow.md", "services/inventory", "services/storefront",
    ]  # fmt: skip
    titles = {one.path: one.title for one in list_documents(ready.call)}
    assert titles["docs/index.md"] == "The shop" and titles["docs/storefront.md"] == "docs/storefront.md"
    assert [one.path for one in list_documents(ready.call, service="storefront")] == [
        "docs/storefront.md", "runbooks/slow.md", "services/storefront",
    ]  # fmt: skip
    (built,) = ready.events("docs.built")
    assert built.data["pages"] == 10
    assert ready.plane.ledger.chain(built.id)[-1].type == "change.pushed"
    with pytest.raises(NotFound, match="docs search"):
        read_document(ready.call, path="nope.md")


def test_a_page_changes_only_when_what_it_says_does(ready: AreaPlane) -> None:
    before = {one.path: one.changed for one in list_documents(ready.call)}
    ready.plane.clock.advance(60)  # type: ignore[attr-defined]
    ready.push("storefront", "c" * 40)
    ready.settle()
    assert len(ready.events("docs.built")) == 1
    ready.deployed(cause=ready.events("change.pushed")[-1].id)
    ready.settle()
    built = ready.events("docs.built")
    assert sorted(built[1].data["changed"]) == ["environments/production", "services/storefront"]
    changed = {one.path for one in list_documents(ready.call) if one.changed != before[one.path]}
    assert changed == {"environments/production", "services/storefront"}
    text = read_document(ready.call, path="services/storefront")
    assert "cccccccccccc" in text.markdown and text.events
    # Only its front matter changed: it belongs to another service now.
    ready.decide({"docs/storefront.md": FILES["docs/storefront.md"].replace("storefront", "inventory")})
    assert "docs/storefront.md" in [one.path for one in list_documents(ready.call, service="inventory")]
    ready.decide(drop=["docs/storefront.md"])
    assert ready.events("docs.built")[-1].data["gone"] == ["docs/storefront.md"]
    assert "docs/storefront.md" not in paths(ready)


def test_a_broken_link_is_told_once_and_dropped_when_mended(ready: AreaPlane) -> None:
    assert list_links(ready.call) == []
    ready.decide(
        {
            "docs/index.md": "# The shop\n\n[a](gone.md) [again](gone.md) [b](../runbooks/slow.md#nope)\n",
            "rules/shop.yml": RULES,
        }
    )
    wanted = [
        ("docs/index.md", "../runbooks/slow.md#nope"), ("docs/index.md", "gone.md"),
        ("runbooks/down.md", "../docs/index.md#the-map"), ("runbooks/slow.md", "../docs/index.md#the-map"),
    ]  # fmt: skip
    assert [(one.page, one.target) for one in list_links(ready.call)] == wanted
    ready.deployed()
    ready.settle()
    assert len(ready.events("link.broken")) == 4
    assert "there is no docs/gone.md" in ready.page("/docs")
    ready.decide({"docs/index.md": FILES["docs/index.md"]})
    assert list_links(ready.call) == []
    ready.decide({"docs/index.md": "[a](gone.md)"})
    assert [one.data["target"] for one in ready.events("link.broken")].count("gone.md") == 2


def test_the_runbook_of_an_alert_is_found_in_order(ready: AreaPlane) -> None:
    def path(service: str, alert: str) -> str:
        answer = ready.plane.ask(RunbookFor(service, alert))
        return answer.value.path if answer.value else answer.unknown

    assert path("storefront", "Slow") == "runbooks/slow.md"
    assert path("inventory", "Down") == "runbooks/down.md"
    assert path("storefront", "Other") == "no runbook names Other, and storefront has none"
    ready.decide({
        "runbooks/also-slow.md": RUNBOOK % ("Also slow", "inventory", "Slow, Down"),
        "catalog-info.yaml": _with_runbook((ready.folder / "ops-work" / "catalog-info.yaml").read_text()),
    })  # fmt: skip
    # One that names the alert goes before the one the rule names; of several, that of the service.
    assert path("inventory", "Slow") == "runbooks/also-slow.md"
    assert path("storefront", "Slow") == "runbooks/slow.md"
    assert path("storefront", "Down") == "runbooks/also-slow.md"
    assert path("storefront", "Other") == "runbooks/down.md"


def _with_runbook(catalog: str) -> str:
    return catalog.replace(
        "title: Storefront,", 'title: Storefront, annotations: {opsroom.dev/runbook: "runbooks/down.md"},'
    )


MERMAID_LINE = re.compile(
    r'  (n_[A-Za-z0-9_]+\["[^"\n]*"\]|n_[A-Za-z0-9_]+\["[^"\n]*"\] --> n_[A-Za-z0-9_]+\["[^"\n]*"\])'
)


def test_diagrams_are_mermaid(ready: AreaPlane) -> None:
    for document in list_documents(ready.call):
        markdown = read_document(ready.call, path=document.path).markdown
        for diagram in re.findall(r"```mermaid\n(.*?)```", markdown, re.DOTALL):
            first, *lines = diagram.rstrip("\n").split("\n")
            assert first == "graph LR" and lines
            assert all(MERMAID_LINE.fullmatch(line) for line in lines), diagram
    assert _node("end").startswith("n_end[")
    assert len({_node(name).partition("[")[0] for name in ("a-b", "a_b", "a.b", "a b")}) == 4
    assert _node('a"b#c') == 'n_a_22_b_23_c["a#quot;b#35;c"]'


def test_a_pipeline_is_drawn_and_listed(ready: AreaPlane) -> None:
    text = read_document(ready.call, path="pipelines/ops/pipeline.yml").markdown
    assert 'n_build["build"] --> n_end["end"]' in text
    assert text.startswith("# ops: deploy \\| all")
    shown = ready.page("/docs/pipelines/ops/pipeline.yml", raw=True)
    assert 'data-mermaid="Diagram"' in shown and "<th>job</th>" in shown


def test_a_repository_that_cannot_be_read_says_so_in_its_place(ready: AreaPlane) -> None:
    text = (ready.folder / "ops-work" / "catalog-info.yaml").read_text()
    ready.decide(
        {
            "catalog-info.yaml": text.replace(
                "title: Storefront,", "title: Storefront, annotations: {opsroom.dev/repository: ../gone},"
            )
        }
    )
    assert "pipelines/gone" in paths(ready, "pipeline")
    assert "cannot be read now" in read_document(ready.call, path="pipelines/gone").markdown


def test_incidents_are_told_with_their_timeline_and_typed_text_stays_text(ready: AreaPlane) -> None:
    subjects = ("incident:inc_1", "service:storefront", "environment:production")
    ready.record(
        "incident.opened",
        *subjects,
        title="[x](gone.md) | <b>slow</b>",
        severity="SEV2",
        suspects=[{"change": "a|b `c`"}],
    )
    ready.settle()
    page = read_document(ready.call, path="incidents/inc_1")
    assert page.service == "storefront"
    assert list_links(ready.call) == []
    shown = ready.page("/docs/incidents/inc_1", raw=True)
    assert "<b>slow" not in shown and "[x](gone.md) | &lt;b&gt;slow" in shown


def test_made_documents_link_what_they_tell_and_show_twelve_digits(ready: AreaPlane) -> None:
    pushed = ready.push("storefront", "c" * 40)
    ready.deployed(cause=pushed.id)
    opened = ready.record(
        "incident.opened", "incident:inc_1", "service:storefront", "environment:production", title="slow", severity="SEV2",
        suspects=[{"change": f"change {n} at {'d' * 40}", "score": 0.9 - n / 10, "event": f"evt_{n}"} for n in range(7)],
    )  # fmt: skip
    ready.settle()
    incident = read_document(ready.call, path="incidents/inc_1").markdown
    assert f"](/changes/{opened.id})" in incident and "](/incidents/inc_1)" in incident
    assert "1. [change 0 at dddddddddddd](/changes/evt_0), score 0.90" in incident
    assert "change 4" in incident and "change 5" not in incident and "2 more were less likely." in incident
    service = read_document(ready.call, path="services/storefront").markdown
    assert "](/artifacts/sha256:" in service and "](<../environments/production>)" in service
    for document in list_documents(ready.call):
        shown = re.sub(r"\]\([^)]*\)", "]", read_document(ready.call, path=document.path).markdown)
        assert not re.search(r"\b[0-9a-f]{40,64}\b", shown), document.path
        assert "(s)" not in shown.replace("\\", "")
    assert list_links(ready.call) == []


def test_a_title_that_says_it_comes_before_a_text_that_says_it_often() -> None:
    often = Page(path="a", title="All we sell", kind="document", markdown="tea " * 50)
    begins = Page(path="b", title="Teapots", kind="document", markdown="Of clay.")
    titled = Page(path="c", title="Tea", kind="document", markdown="Green and black.")
    assert [page.path for _, page in search([often, begins, titled], "tea")] == ["c", "b", "a"]
    assert [page.path for _, page in search([often, begins, titled], "tea black")] == ["c"]


def test_search_through_every_surface(ready: AreaPlane) -> None:
    assert [one.path for one in search_documents(ready.call, text="darjeeling")] == ["docs/storefront.md"]
    assert "docs/storefront.md" in ready.page("/docs?q=darjeeling", raw=True)
    assert "No document holds all of these words" in ready.page("/docs?q=unicorn")
    assert "docs/storefront.md" in ready.page("/search?q=darjeeling", raw=True)
    answer = ready.api().get("/api/v1/docs/search", params={"text": "sell tea"})
    assert answer.status_code == 200 and [one["path"] for one in answer.json()] == ["docs/index.md"]


def test_pages_render(ready: AreaPlane) -> None:
    assert "The shop" in ready.page("/docs")
    shown = ready.page("/docs/docs/index.md", raw=True)
    assert 'href="/docs/runbooks/slow.md"' in shown and 'id="the-map"' in shown
    assert "kind" in ready.page("/docs/opsroom/environments.yaml") and "Environment" in ready.page(
        "/docs/opsroom/environments.yaml"
    )
    assert ready.web().get("/docs/nope.md").status_code == 404
    for path in paths(ready):
        ready.page(f"/docs/{path}")
    assert "It is slow" in ready.page("/services/storefront")


def test_the_empty_page_teaches(room: AreaPlane) -> None:
    assert "docs/index.md" in room.page("/docs")
