"""Markdown to HTML: no raw HTML, headings with anchors, code in colour, Mermaid left for the browser to draw."""

from __future__ import annotations

import copy
import html
import posixpath
from functools import lru_cache
from typing import Any

from opsroom.areas.documentation.model import is_address
from opsroom.areas.documentation.reading import Heading, headings_in, parser


def render(markdown: str, path: str) -> tuple[str, list[Heading]]:
    """The HTML of a document and its headings. Links between documents lead to their pages."""
    parse = _parser()
    tokens = parse.parse(markdown)
    headings = headings_in(tokens)
    for heading in headings:
        tokens[heading.token].attrSet("id", heading.anchor)
    for token in tokens:
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", _href(str(child.attrGet("href") or ""), path))
    return str(parse.renderer.render(tokens, parse.options, {})), headings


def render_source(text: str, language: str) -> str:
    """The HTML of a file that is no document, in colour."""
    return f'<figure class="source"><pre tabindex="0"><code>{_coloured(text, language)}</code></pre></figure>'


def _href(target: str, path: str) -> str:
    if is_address(target) or target.startswith(("/", "#")):
        return target
    where, mark, anchor = target.partition("#")
    below = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), where))
    return f"/docs{below}{mark}{anchor}"


@lru_cache(maxsize=1)
def _parser() -> Any:
    made = copy.copy(parser())
    made.renderer = type(made.renderer)()
    made.add_render_rule("fence", _fence)
    made.add_render_rule("image", _image)
    return made


def _image(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    """Pictures are named, not shown: the ops repo's are not served, and others' would be fetched from other hosts."""
    token = tokens[index]
    return f'<span class="muted">[{html.escape(token.content or "picture")}: {html.escape(str(token.attrGet("src") or ""))}]</span>'


def _fence(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    language = (tokens[index].info or "").split(" ")[0]
    text = tokens[index].content
    if language == "mermaid":
        # The same markup as the macro ui.mermaid, which the page's script draws.
        source = f'<details><summary>Diagram as text</summary><pre tabindex="0"><code>{html.escape(text)}</code></pre></details>'
        return f'<figure class="mermaid" data-mermaid="Diagram" data-key="mermaid-{index}"><div class="mermaid-drawing" hx-morph-skip></div>{source}</figure>'
    return render_source(text, language)


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
