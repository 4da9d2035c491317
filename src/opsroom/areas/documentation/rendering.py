"""Markdown to HTML: no raw HTML, headings with anchors, code in colour, Mermaid left for the browser to draw."""

from __future__ import annotations

import html
import posixpath
import re
from functools import lru_cache
from typing import Any

from opsroom.areas.documentation.model import slug


def render(markdown: str, path: str) -> tuple[str, list[tuple[int, str, str]]]:
    """The HTML of a document and its table of contents [(depth, text, anchor)]. Links between documents lead to their pages."""
    parser = _parser()
    tokens = parser.parse(markdown)
    contents = []
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            text = tokens[at + 1].content
            token.attrSet("id", slug(text))
            contents.append((int(token.tag[1]), re.sub(r"[`*_]", "", text), slug(text)))
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", _href(str(child.attrGet("href") or ""), path))
    return str(parser.renderer.render(tokens, parser.options, {})), contents


def _href(target: str, path: str) -> str:
    if re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE) or target.startswith(("/", "#")):
        return target
    where, mark, anchor = target.partition("#")
    return f"/docs/{posixpath.normpath(posixpath.join(posixpath.dirname(path), where))}{mark}{anchor}"


@lru_cache(maxsize=1)
def _parser() -> Any:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.tasklists import tasklists_plugin

    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "highlight": None}).enable(
        ["table", "strikethrough"]
    )
    parser.use(tasklists_plugin)
    parser.add_render_rule("fence", _fence)
    return parser


def _fence(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    language = (tokens[index].info or "").split(" ")[0]
    text = tokens[index].content
    if language == "mermaid":
        # The same markup as the macro ui.mermaid, which the page's script draws.
        source = f'<details><summary>Diagram as text</summary><pre tabindex="0"><code>{html.escape(text)}</code></pre></details>'
        return f'<figure class="mermaid" data-mermaid="Diagram" data-key="mermaid-{index}"><div class="mermaid-drawing" hx-morph-skip></div>{source}</figure>'
    return f'<figure class="source"><pre tabindex="0"><code>{_coloured(text, language)}</code></pre></figure>'


def _coloured(text: str, language: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language) if language else None
    except ClassNotFound:
        lexer = None
    if lexer is None:
        return html.escape(text)
    return str(highlight(text, lexer, HtmlFormatter(nowrap=True, classprefix="hl-")))
