"""Markdown as it is read and rendered: links and anchors agree with what is shown, and nothing in a text can act."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opsroom.areas.documentation.model import Page, broken_links, excerpt, search
from opsroom.areas.documentation.reading import anchors_of, links_of, plain, title_of, words_of
from opsroom.areas.documentation.rendering import render

MARKS = st.text(alphabet="ab #*_`[]()<>!|~\\\n\t-+=:/.\"'&;1é☃", max_size=120)
HARMLESS = {
    "a", "article", "blockquote", "br", "code", "del", "details", "div", "em", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr",
    "input", "li", "ol", "p", "pre", "s", "span", "strong", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


class Seen(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(MARKS | st.text(max_size=200))
@example('[a](<b c> "d")\n\n[a]: x#y\n[b][a] ![p](q)')
@example("# a\n# a\n## `a` b\na\n=\n")
def test_reading_never_fails_and_agrees_with_what_is_rendered(markdown: str) -> None:
    seen = Seen(render(markdown, "docs/index.md")[0])
    assert {attributes["id"] for tag, attributes in seen.tags if re.fullmatch("h[1-6]", tag)} == anchors_of(markdown)
    shown = sum(tag == "a" for tag, _ in seen.tags)
    assert shown >= len(links_of(markdown)) - markdown.count("![")
    title_of(markdown)
    words_of(markdown)


@settings(deadline=None)
@given(MARKS | st.text(alphabet="<>/scriptonimgl =\"'jav:&#x;()[]`\n", max_size=150))
@example("<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) [y](data:text/html,x)")
@example(
    "[x](JaVaScRiPt:alert(1)) [x](&#106;avascript:alert(1)) [x](vbscript:x) <javascript:alert(1)> ![x](javascript:alert(1))"
)
@example(
    "```mermaid\n</code></pre><script>alert(1)</script>\n```\n\n```<script>\nx\n```\n\n```html\n<script>x</script>\n```"
)
def test_nothing_in_a_text_can_act(markdown: str) -> None:
    for tag, attributes in Seen(render(markdown, "docs/index.md")[0]).tags:
        assert tag in HARMLESS, tag
        assert not [name for name in attributes if name.startswith("on") or name == "style" or name == "src"]
        assert not re.match(r"\s*(javascript|vbscript|data|file):", attributes.get("href") or "", re.IGNORECASE)


@given(st.text(max_size=80))
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    if wanted := " ".join(text.split()).strip("\x1c\x1d\x1e\x1f"):
        seen = Seen(render(f"before {plain(text)} after", "x")[0])
        assert not [tag for tag, _ in seen.tags if tag != "p"]
        assert seen.text.replace("�", "\0").split() == f"before {wanted} after".split() or "\0" in text


def test_plain_text_stays_in_its_cell_and_is_no_link() -> None:
    text = plain("[x](javascript:alert(1)) | <b>bold</b> | `code`")
    html, _ = render(f"| a | b |\n| --- | --- |\n| {text} | end |\n", "x")
    assert html.count("<td>") == 2 and "<a" not in html and "<b>" not in html and "<code>" not in html
    assert links_of(text) == []


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [("Roll back", "roll-back"), ("`pages_list` and _more_", "pages_list-and-more"), ("A & B, (c)!", "a--b-c"), ("Über", "über"), ("[x](y) z", "x-z")],
)  # fmt: skip
def test_anchors_are_as_on_github(heading: str, anchor: str) -> None:
    assert anchors_of(f"# {heading}") == {anchor}


def test_the_same_heading_again_has_an_anchor_of_its_own() -> None:
    assert anchors_of("# a\n\n# a\n\n## a-1\n\n# a") == {"a", "a-1", "a-1-1", "a-2"}
    html, headings = render("# a\n\n# a\n", "x")
    assert [one.anchor for one in headings] == ["a", "a-1"] and 'id="a-1"' in html


def page(path: str, markdown: str, title: str = "") -> Page:
    return Page(path=path, title=title or path, kind="document", markdown=markdown)


def broken(markdown: str, *others: Page, files: tuple[str, ...] = ()) -> list[str]:
    pages = {one.path: one for one in (page("docs/index.md", markdown), *others)}
    return [one.reason for one in broken_links(pages, files)]


def test_links_that_lead_nowhere_are_found() -> None:
    other = page("runbooks/slow.md", "# Slow\n\n## First look\n")
    assert broken("[a](../runbooks/slow.md) [b](../runbooks/slow.md#first-look) [c](#here)\n\n# Here", other) == []
    assert broken("[a](../runbooks/gone.md)", other) == ["there is no runbooks/gone.md"]
    assert broken("[a](../runbooks/slow.md#second-look)", other) == ["runbooks/slow.md has no heading #second-look"]
    assert broken("[a](#gone)") == ["docs/index.md has no heading #gone"]
    assert broken("[a][ref]\n\n[ref]: gone.md") == ["there is no docs/gone.md"]
    assert broken("![picture](gone.png)") == ["there is no docs/gone.png"]


def test_what_is_no_link_of_the_documents_is_left_alone() -> None:
    assert broken("[a](https://example.com/x) [b](mailto:a@b.c) [c](//example.com) [d](/incidents)") == []
    assert broken("```\n[a](gone.md)\n```\n\n`[b](gone.md)` \\[c](gone.md)") == []
    files = ("opsroom/my file.yaml", "files/motd")
    assert (
        broken(
            "[a](<../opsroom/my file.yaml>) [b](../opsroom/my%20file.yaml) [c](../files/) [d](../files?plain=1)",
            files=files,
        )
        == []
    )


def test_rendered_links_lead_to_pages() -> None:
    html, _ = render(
        "[a](../runbooks/x.md#y) [b](z.md) [c](#d) [e](https://x.y) [f](../../../up.md)", "docs/sub/index.md"
    )
    assert re.findall('href="([^"]*)"', html) == [
        "/docs/docs/runbooks/x.md#y", "/docs/docs/sub/z.md", "#d", "https://x.y", "/docs/up.md",
    ]  # fmt: skip


def test_pictures_are_named_and_not_fetched() -> None:
    html, _ = render("![a map](https://example.com/track.png)", "docs/index.md")
    assert "<img" not in html and "a map" in html


def test_search_ranks_titles_before_bodies_and_wants_every_word() -> None:
    pages = [
        page("a", "rollback rollback rollback", "Deployments"), page("b", "how it is done", "Rollback"), page("c", "nothing of it", "Other"),
        page("d", "rollback of a database", "Databases"),
    ]  # fmt: skip
    assert [one.path for _, one in search(pages, "rollback")] == ["b", "a", "d"]
    assert [one.path for _, one in search(pages, "ROLLBACK data")] == ["d"]
    assert search(pages, "") == search(pages, "!!") == [] == search(pages, "rollback unicorn")
    assert [one.path for _, one in search(pages, "roll")] == ["b", "a", "d"]


@given(st.lists(st.tuples(MARKS, MARKS), max_size=5), st.text(max_size=20))
def test_search_never_fails_and_every_hit_has_every_word(texts: list[tuple[str, str]], text: str) -> None:
    pages = [page(str(number), body, title) for number, (title, body) in enumerate(texts)]
    hits = search(pages, text)
    assert [score for score, _ in hits] == sorted((score for score, _ in hits), reverse=True)
    for _, hit in hits:
        assert len(excerpt(hit, text)) <= 162
        for word in re.findall(r"[^\W_]+", text):
            assert word.lower() in f"{hit.title} {words_of(hit.markdown)}".lower()


def test_an_excerpt_is_the_words_around_the_hit() -> None:
    found = excerpt(page("a", "x " * 200 + "**the** needle " + "y " * 200), "needle")
    assert "the needle" in found and found.startswith("…") and found.endswith("…")
