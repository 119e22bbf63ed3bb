"""What a file is, from its first bytes and its name. Names never decide what is an image."""

import re
from typing import Literal, TypeAlias

FileKind: TypeAlias = Literal["image", "markdown", "table", "json", "page", "text", "binary"]
"""`page` is text a browser would run (HTML, SVG, XML): only ever shown as source."""

HEAD_BYTES = 64 * 1024
"""As much of a file as `file_kind` looks at."""

_KINDS_BY_SUFFIX: dict[str, FileKind] = {
    **dict.fromkeys((".md", ".markdown", ".mdown"), "markdown"),
    **dict.fromkeys((".csv", ".tsv", ".tab"), "table"),
    **dict.fromkeys((".json", ".geojson", ".ipynb", ".webmanifest"), "json"),
    **dict.fromkeys((".html", ".htm", ".xhtml", ".svg", ".xml", ".mhtml"), "page"),
}
_PAGE_START = re.compile(r"\s*<(!doctype|html|svg|\?xml|script)\b", re.IGNORECASE)
_BMP_HEADER_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})
_BINARY_SHARE = 0.3
_TEXT_CONTROLS = frozenset("\t\n\r\f\b\x1b")


def image_type(head: bytes) -> str | None:
    """Content type of a raster image a browser can draw, by its magic bytes."""
    simple = (
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
    )
    for magic, content_type in simple:
        if head.startswith(magic):
            return content_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and {b"avif", b"avis"} & {head[8:12], head[16:20], head[20:24]}:
        return "image/avif"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return "image/bmp"
    if head[:4] == b"\0\0\1\0" and 0 < int.from_bytes(head[4:6], "little") < 256:
        return "image/x-icon"
    return None


def file_kind(head: bytes, name: str, *, is_whole: bool) -> FileKind:
    """`head` is up to `HEAD_BYTES` of the file, all of it when `is_whole`."""
    if image_type(head):
        return "image"
    if not looks_like_text(head, is_whole=is_whole):
        return "binary"
    suffix = "." + name.lower().rpartition(".")[2]
    kind = _KINDS_BY_SUFFIX.get(suffix, "text")
    if kind == "text" and _PAGE_START.match(decode_text(head)[0]):
        return "page"
    return kind


def looks_like_text(head: bytes, *, is_whole: bool) -> bool:
    """UTF-8 and other 8-bit text with a few strays, and UTF-16 with a byte order mark."""
    encoding = encoding_of(head)
    if encoding == "utf-8" and b"\0" in head:
        return False
    text = head.decode(encoding, "replace")
    # A character cut by the end of the head is no stray.
    if not is_whole:
        text = text.rstrip("\ufffd")
    strays = sum(
        text.count(character)
        for character in set(text)
        if character == "\ufffd" or (character < " " and character not in _TEXT_CONTROLS)
    )
    return strays <= len(text) * _BINARY_SHARE


def encoding_of(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    return "utf-8"


def decode_text(raw: bytes, *, is_whole: bool = True) -> tuple[str, bool]:
    """The text, and whether every byte of it was valid. Never raises."""
    encoding = encoding_of(raw)
    text = raw.decode(encoding, "replace").removeprefix("\ufeff")
    if not is_whole:
        text = text.rstrip("\ufffd")
    try:
        raw.decode(encoding)
    except UnicodeDecodeError as error:
        is_cut = not is_whole and error.end == len(raw) and len(raw) - error.start < 4
        return text, is_cut
    return text, True
