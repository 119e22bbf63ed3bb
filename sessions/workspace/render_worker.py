"""A process of its own that turns one hostile text into HTML and ends.

Highlighters and Markdown parsers are regular expressions over text an attacker may have written.
Here they can be killed and hold no lock of the server's; see rendering.py.
"""

import json
import resource
import sys
from typing import Any

from sessions.workspace.highlight import format_json, highlight_source
from sessions.workspace.markdown import render_markdown

MAX_CPU_S = 10
MAX_MEMORY_BYTES = 1024 * 1024 * 1024
MAX_FORMATTED_CHARACTERS = 1024 * 1024
"""Indentation can make a short text very long."""
MAX_HTML_CHARACTERS = 16 * 1024 * 1024


def render(request: dict[str, Any]) -> str:
    text, name = request["text"], request["name"]
    match request["task"]:
        case "markdown":
            return render_markdown(text, path=request["path"], image_url=request["image_url"])
        case "formatted":
            formatted = format_json(text)
            if len(formatted) > MAX_FORMATTED_CHARACTERS:
                raise ValueError("too long once indented")
            return highlight_source(formatted, "formatted.json")
        case _:
            return highlight_source(text, name)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    request = json.load(sys.stdin.buffer)
    rendered = render(request)
    if len(rendered) > MAX_HTML_CHARACTERS:
        raise ValueError("too long once rendered")
    sys.stdout.buffer.write(rendered.encode("utf-8", "replace"))


if __name__ == "__main__":
    main()
