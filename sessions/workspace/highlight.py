"""Source as HTML, one span a token, with classes that static/css/files.css colours."""

import json

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import TextLexer, get_lexer_by_name, get_lexer_for_filename
from pygments.util import ClassNotFound

CLASS_PREFIX = "tok-"


def highlight_source(text: str, name: str) -> str:
    """Escaped HTML with as many newlines as `text`. The language comes from the file name."""
    return _highlight(text, _lexer_for(name, text))


def highlight_fence(text: str, language: str) -> str:
    """As `highlight_source`, for a fenced block that names its language."""
    try:
        return _highlight(text, get_lexer_by_name(language, stripnl=False, ensurenl=False))
    except ClassNotFound:
        return _highlight(text, TextLexer(stripnl=False, ensurenl=False))


def format_json(text: str) -> str:
    """The same value, indented. Raises: ValueError, RecursionError."""
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False)


def _highlight(text: str, lexer: Lexer) -> str:
    formatter: HtmlFormatter[str] = HtmlFormatter(nowrap=True, classprefix=CLASS_PREFIX)
    rendered = highlight(text, lexer, formatter)
    # The formatter ends the last line even where the text does not.
    return rendered if text.endswith(("\n", "\r")) else rendered.removesuffix("\n")


def _lexer_for(name: str, text: str) -> Lexer:
    if text.startswith("#!"):
        for word, alias in (("python", "python"), ("node", "javascript"), ("sh", "bash")):
            if word in text.partition("\n")[0]:
                return get_lexer_by_name(alias, stripnl=False, ensurenl=False)
    try:
        return get_lexer_for_filename(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        plain: Lexer = TextLexer(stripnl=False, ensurenl=False)
        return plain
