"""What the viewer shows of one file: which views it has, and the chosen one's content."""

import asyncio
import html
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from sessions.sandbox.base import Entry, Sandbox
from sessions.workspace.csv_table import Table, parse_table
from sessions.workspace.files import read_head, stat_file
from sessions.workspace.hexdump import PAGE_BYTES, HexRow, hex_rows
from sessions.workspace.paths import name_of
from sessions.workspace.rendering import MAX_RENDER_BYTES, Renderer, RenderTask
from sessions.workspace.sniff import HEAD_BYTES, FileKind, decode_text, file_kind

View: TypeAlias = Literal["image", "table", "markdown", "formatted", "source", "hex"]

MAX_TEXT_BYTES = 1024 * 1024
MAX_IMAGE_BYTES = 32 * 1024 * 1024

VIEWS: dict[FileKind, tuple[View, ...]] = {
    "image": ("image", "hex"),
    "markdown": ("markdown", "source", "hex"),
    "table": ("table", "source", "hex"),
    "json": ("source", "formatted", "hex"),
    "page": ("source", "hex"),
    "text": ("source", "hex"),
    "binary": ("source", "hex"),
}
"""In the order of the buttons. The first is shown unless another is asked for, hex for binary."""

_RENDER_TASKS: dict[View, RenderTask] = {"markdown": "markdown", "formatted": "formatted"}


@dataclass(slots=True)
class Preview:
    """`html` is safe to insert; of the contents only the one of `view` is set."""

    entry: Entry
    kind: FileKind
    view: View
    views: tuple[View, ...]
    notes: list[str] = field(default_factory=list)
    html: str = ""
    line_count: int = 0
    """Of what is shown; `is_whole` says whether that is all."""
    is_whole: bool = True
    table: Table | None = None
    rows: list[HexRow] = field(default_factory=list)
    offset: int = 0


async def preview_file(
    sandbox: Sandbox,
    path: str,
    *,
    renderer: Renderer,
    wanted: str = "",
    offset: int = 0,
    image_url: str = "",
) -> Preview:
    """`wanted` is a view or anything else for the usual one; `offset` is where hex starts.

    Raises: what `stat_file` and `Sandbox.read_file` raise.
    """
    entry = await stat_file(sandbox, path)
    head = await read_head(sandbox, entry.path, length=HEAD_BYTES)
    kind = file_kind(head, name_of(path), is_whole=entry.size <= len(head))
    views = VIEWS[kind]
    usual: View = "hex" if kind == "binary" else views[0]
    view = next((v for v in views if v == wanted), usual)
    preview = Preview(entry=entry, kind=kind, view=view, views=views)
    if view == "image":
        _describe_image(preview)
    if preview.view == "hex":
        await _read_hex(preview, sandbox, offset)
    elif preview.view != "image":
        await _read_text(preview, sandbox, head, renderer, image_url)
    if kind == "page" and preview.view == "source":
        preview.notes.append("Shown as source: a page from the workspace is never run here.")
    return preview


def _describe_image(preview: Preview) -> None:
    if preview.entry.size > MAX_IMAGE_BYTES:
        preview.view = "hex"
        limit = MAX_IMAGE_BYTES // 1024 // 1024
        preview.notes.append(f"Images over {limit} MiB are not shown. Download it instead.")


async def _read_hex(preview: Preview, sandbox: Sandbox, offset: int) -> None:
    last_page = max(preview.entry.size - 1, 0) // PAGE_BYTES * PAGE_BYTES
    preview.offset = min(max(offset, 0) // PAGE_BYTES * PAGE_BYTES, last_page)
    data = await read_head(sandbox, preview.entry.path, offset=preview.offset, length=PAGE_BYTES)
    preview.rows = hex_rows(data, offset=preview.offset)


async def _read_text(
    preview: Preview, sandbox: Sandbox, head: bytes, renderer: Renderer, image_url: str
) -> None:
    raw = head
    if preview.entry.size > len(head):
        raw = await read_head(sandbox, preview.entry.path, length=MAX_TEXT_BYTES)
    is_whole = preview.entry.size <= len(raw)
    text, is_valid = decode_text(raw, is_whole=is_whole)
    if not is_valid:
        preview.notes.append("Not valid UTF-8: bytes that are none are shown as \ufffd.")
    if preview.view == "table":
        name = name_of(preview.entry.path)
        preview.table = await asyncio.to_thread(parse_table, text, name=name, is_whole=is_whole)
        if preview.table is not None:
            return
        preview.view = "source"
        preview.notes.append("It could not be read as a table.")
    preview.is_whole = is_whole
    if not is_whole:
        preview.notes.append(
            f"Only the first {MAX_TEXT_BYTES // 1024 // 1024} MiB is shown. Download it for all."
        )
    await _render_text(preview, text, renderer, image_url)


async def _render_text(preview: Preview, text: str, renderer: Renderer, image_url: str) -> None:
    rendered = None
    if len(text) <= MAX_RENDER_BYTES:
        rendered = await renderer.render(
            _RENDER_TASKS.get(preview.view, "source"),
            text,
            name=name_of(preview.entry.path),
            path=preview.entry.path,
            image_url=image_url,
        )
    if rendered is None:
        if preview.view != "source":
            preview.notes.append("It could not be shown that way, so here is its source.")
            preview.view = "source"
        elif len(text) > MAX_RENDER_BYTES:
            preview.notes.append("Too long for colours.")
        rendered = html.escape(text)
    preview.html = rendered
    preview.line_count = rendered.count("\n") + (not rendered.endswith("\n")) if text else 0
