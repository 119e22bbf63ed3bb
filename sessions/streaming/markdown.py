"""A model's Markdown as HTML that is safe to put into the page.

Two fences, either of which would do: the parser knows no raw HTML, and what it makes passes an
allow-list. Nothing in it can load from another host: an image becomes a link to it.
"""

from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

MAX_RENDERED_CHARS = 200_000
"""Longer texts stay plain: rendering would hold up everyone else."""
LINK_SCHEMES = ("http://", "https://", "mailto:")

_TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li",
    "ol", "p", "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "code": {"class"}}


def _image_as_link(
    self: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: MutableMapping[str, Any],
) -> str:
    token = tokens[index]
    source = str(token.attrs.get("src", ""))
    label = token.content or source or "image"
    return f'<a href="{escapeHtml(source)}">{escapeHtml(label)}</a>'


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False})
    parser.enable(["table", "strikethrough"])
    parser.add_render_rule("image", _image_as_link)
    return parser


_markdown = _parser()


def _only_outside_links(tag: str, attribute: str, value: str) -> str | None:
    """Addresses relative to our own pages lead nowhere, whatever the model meant by them."""
    if attribute == "href" and not value.lower().startswith(LINK_SCHEMES):
        return None
    if attribute == "class" and not value.startswith("language-"):
        return None
    return value


@lru_cache(maxsize=256)
def render_markdown(text: str) -> str:
    """Sanitised HTML, or "" for a text too long to be rendered."""
    if len(text) > MAX_RENDERED_CHARS:
        return ""
    return nh3.clean(
        _markdown.render(text),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_only_outside_links,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
