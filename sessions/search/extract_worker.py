"""A process of its own that reads one hostile file on its standard input, writes its text and ends.

Parsers of PDF, HTML and XML are many lines over bytes that an attacker may have made. Here they
hold no secret and no lock of the server's, and may take only so much time and memory; see
extract.py.
"""

import codecs
import re
import resource
import sys
import zipfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO
from xml.parsers import expat

MAX_CPU_S = 60
MAX_MEMORY_BYTES = 1024 * 1024 * 1024
MAX_HTML_BYTES = 32 * 1024 * 1024
MAX_XML_BYTES = 128 * 1024 * 1024
"""Of one part of a document, once unpacked."""
MAX_PARTS = 5_000
UNSUPPORTED, INVALID, ENCRYPTED = 3, 4, 5
"""How the process ends when there is no text."""
_LOOK_BYTES = 8 * 1024
_PIECE_BYTES = 64 * 1024
_OFFICE = re.compile(r"word/document\.xml|ppt/slides/slide\d+\.xml")
_LINES = {"p", "br", "tr"}


class UnsupportedError(Exception):
    """Not a kind of file that has text."""


class EncryptedError(Exception):
    pass


def text_of(file: BinaryIO, name: str) -> Iterator[str]:
    """Raises: UnsupportedError, EncryptedError, and whatever a parser raises."""
    head = file.read(_LOOK_BYTES)
    file.seek(0)
    if b"%PDF-" in head[:1024]:
        return _pdf(file)
    if head.startswith(b"PK\x03\x04"):
        return _office(file)
    if is_html(head, name):
        return _html(file)
    return _plain(file, head)


def is_html(head: bytes, name: str) -> bool:
    begins = head.lstrip()[:100].lower()
    return name.lower().endswith((".html", ".htm", ".xhtml")) or begins.startswith(
        (b"<!doctype html", b"<html")
    )


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in head:
        raise UnsupportedError
    return "utf-8-sig"


def _plain(file: BinaryIO, head: bytes) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(_encoding(head))("strict")
    while True:
        data = file.read(_PIECE_BYTES)
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise UnsupportedError from error
        if "\0" in text:
            raise UnsupportedError
        yield text
        if not data:
            return


def _html(file: BinaryIO) -> Iterator[str]:
    import html

    import nh3

    data = file.read(MAX_HTML_BYTES + 1)
    if len(data) > MAX_HTML_BYTES:
        raise ValueError("too long")
    if b"\0" in data[:_LOOK_BYTES] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnsupportedError
    source = data.decode(_encoding(data[:_LOOK_BYTES]), "replace")
    # What ends a line for a reader ends one here, for the tags are gone afterwards.
    spaced = re.sub(
        r"(?i)<(?=/?(?:p|br|div|li|tr|td|th|h[1-6]|section|article|pre)\b)", "\n<", source
    )
    yield html.unescape(nh3.clean(spaced, tags=set(), clean_content_tags={"script", "style"}))


def _pdf(file: BinaryIO) -> Iterator[str]:
    from pypdf import PdfReader

    reader = PdfReader(file)
    if reader.is_encrypted and not reader.decrypt(""):
        raise EncryptedError
    for page in reader.pages:
        yield page.extract_text() + "\n\n"


def _office(file: BinaryIO) -> Iterator[str]:
    """Word documents and presentations: archives of XML."""
    with zipfile.ZipFile(file) as archive:
        parts = [name for name in archive.namelist() if _OFFICE.fullmatch(name)]
        if not parts:
            raise UnsupportedError
        if len(parts) > MAX_PARTS:
            raise ValueError("too many parts")
        for part in sorted(parts, key=lambda name: (len(name), name)):
            with archive.open(part) as source:
                yield from _xml(iter(lambda: source.read(_PIECE_BYTES), b""))


def _xml(data: Iterable[bytes]) -> Iterator[str]:
    """What the elements `t` hold, a line for each paragraph. Documents have no need to declare
    anything, so that entities cannot be made."""
    found: list[str] = []
    depth = 0

    def begin(name: str, _: object) -> None:
        nonlocal depth
        depth += name.rpartition(":")[2] == "t"
        if name.rpartition(":")[2] == "tab":
            found.append("\t")

    def end(name: str) -> None:
        nonlocal depth
        local = name.rpartition(":")[2]
        depth -= local == "t"
        if local in _LINES:
            found.append("\n")

    def said(text: str) -> None:
        if depth:
            found.append(text)

    def declared(*_: object) -> None:
        raise ValueError("a document type is declared")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = said, declared
    total = 0
    for piece in data:
        total += len(piece)
        if total > MAX_XML_BYTES:
            raise ValueError("too long once unpacked")
        parser.Parse(piece, False)
        yield "".join(found)
        found.clear()
    parser.Parse(b"", True)
    yield "".join([*found, "\n"])


def main() -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    try:
        for text in text_of(sys.stdin.buffer, sys.argv[1]):
            sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
    except UnsupportedError:
        return UNSUPPORTED
    except EncryptedError:
        return ENCRYPTED
    except BrokenPipeError:
        return INVALID
    except Exception:  # noqa: BLE001  (parsers raise anything; whoever asked gets one word)
        return INVALID
    return 0


if __name__ == "__main__":
    sys.exit(main())
