"""Markdown from the workspace as HTML that can run nothing and ask no other host."""

from collections.abc import Iterator
from urllib.parse import unquote_to_bytes, urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from sessions.errors import BerthError
from sessions.workspace.highlight import highlight_fence
from sessions.workspace.paths import decode_path, format_path, path_of_reference

_TAGS = {
    *("a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr"),
    *("img", "li", "ol", "p", "pre", "s", "span", "strong"),
    *("table", "tbody", "td", "th", "thead", "tr", "ul"),
}
_ATTRIBUTES = {
    "a": {"href", "title", "data-open"},
    "code": {"class"},
    "img": {"src", "alt", "title", "loading"},
    "ol": {"start"},
    "span": {"class"},
    "td": {"style"},
    "th": {"style"},
}


def render_markdown(text: str, *, path: str, image_url: str) -> str:
    """Sanitised HTML of the file at `path`.

    A relative link becomes `data-open` with the path's query; a relative image is asked from
    `image_url` plus its query. Images of other hosts become links.
    """
    parser = MarkdownIt(
        "commonmark", {"html": False, "linkify": False, "highlight": _highlight_fence}
    ).enable(["table", "strikethrough"])
    tokens = parser.parse(text)
    for token in tokens:
        if token.children:
            token.children = list(_rewritten(token.children, path, image_url))
    rendered = parser.renderer.render(tokens, parser.options, {})
    return nh3.clean(
        rendered,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        filter_style_properties={"text-align"},
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def _rewritten(tokens: list[Token], path: str, image_url: str) -> Iterator[Token]:
    for token in tokens:
        if token.type == "link_open":
            query = _query_of(str(token.attrGet("href") or ""), path)
            if query is not None:
                token.attrSet("href", "#file=" + query)
                token.attrSet("data-open", query)
        if token.type == "image":
            yield from _image(token, path, image_url)
        else:
            yield token


def _image(token: Token, path: str, image_url: str) -> Iterator[Token]:
    source = str(token.attrGet("src") or "")
    query = _query_of(source, path)
    if query is not None:
        token.attrSet("src", image_url + query)
        token.attrSet("loading", "lazy")
        yield token
        return
    yield Token("link_open", "a", 1, attrs={"href": source})
    yield Token("text", "", 0, content=f"Image: {token.content or source}")
    yield Token("link_close", "a", -1)


def _query_of(reference: str, path: str) -> str | None:
    """The query of the workspace file a relative reference names; None for all others."""
    try:
        parts = urlsplit(reference)
        if parts.scheme or parts.netloc or not parts.path:
            return None
        target = decode_path(unquote_to_bytes(parts.path))
        return format_path(path_of_reference(target, base=path))
    except (ValueError, BerthError):
        return None


def _highlight_fence(text: str, language: str, _attributes: str) -> str:
    return highlight_fence(text, language)
