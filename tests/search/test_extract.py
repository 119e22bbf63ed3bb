"""Text out of files that may be anything: read, or refused with a reason, within bounds."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pypdf
import pytest
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from sessions.search import extract
from sessions.search.extract import ExtractError, FilePieces, suffix
from sessions.search.pieces import Piece

WORD = '<w:document xmlns:w="w"><w:body>{}</w:body></w:document>'
PARAGRAPH = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"


@contextmanager
def opened(path: Path, content: bytes, name: str, **options: float) -> Iterator[FilePieces]:
    path.write_bytes(content)
    found = FilePieces(path, name, max_tokens=800, overlap_tokens=400, **options)
    try:
        yield found
    finally:
        found.close()


def text_of(tmp_path: Path, content: bytes, name: str) -> str:
    with opened(tmp_path / "file", content, name) as found:
        return "\n".join(piece.text for piece in everything(found))


def everything(found: FilePieces) -> list[Piece]:
    return list(chain.from_iterable(iter(lambda: found.take(10), [])))


def refusal(tmp_path: Path, content: bytes, name: str = "a.txt") -> ExtractError:
    with pytest.raises(ExtractError) as refused:
        text_of(tmp_path, content, name)
    return refused.value


def archive(**parts: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name.replace("__", "/"), content)
    return made.getvalue()


def docx(body: str) -> bytes:
    return archive(**{"word__document.xml": body})


def pdf(text: str, password: str = "") -> bytes:
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(300, 300)
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    fonts = DictionaryObject({NameObject("/F1"): font})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    content = DecodedStreamObject()
    content.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode())
    page[NameObject("/Contents")] = content
    if password:
        writer.encrypt(password, algorithm="AES-256")
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "text"),
    [
        (b"plain words", "a.txt", "plain words"),
        (b"\xef\xbb\xbfwith a mark", "a.md", "with a mark"),
        ("wide wörds".encode("utf-16"), "a.txt", "wide wörds"),
        (b'{"a": 1}', "a.json", '{"a": 1}'),
        (b"no name at all", "", "no name at all"),
        (
            b"<!doctype html><title>T</title><script>evil()</script><p>One &amp; two</p><p>three</p>",
            "a",
            "T\nOne & two\n\nthree",
        ),
        (pdf("Hello from a page"), "a.pdf", "Hello from a page"),
        (pdf("Hello from a page"), "named.txt", "Hello from a page"),
        (
            docx(WORD.format(PARAGRAPH.format("One") + PARAGRAPH.format("two"))),
            "a.docx",
            "One\ntwo",
        ),
        (
            archive(
                ppt__slides__slide10__xml="",
                **{
                    "ppt__slides__slide2.xml": '<p:s xmlns:p="p" xmlns:a="a"><a:p><a:t>two</a:t></a:p></p:s>',
                    "ppt__slides__slide1.xml": '<p:s xmlns:p="p" xmlns:a="a"><a:p><a:t>one</a:t></a:p></p:s>',
                },
            ),
            "a.pptx",
            "one\n\ntwo",
        ),
    ],
)
def test_what_has_text_is_read(tmp_path: Path, content: bytes, name: str, text: str) -> None:
    assert text_of(tmp_path, content, name) == text


def test_an_empty_file_has_no_pieces(tmp_path: Path) -> None:
    assert text_of(tmp_path, b"", "a.txt") == ""


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\0\0", b"\x00\x01", b"latin \xe9t\xe9", archive(a="b"), b"x" * 9000 + b"\0"],
)
def test_what_has_none_is_unsupported(tmp_path: Path, content: bytes) -> None:
    assert refusal(tmp_path, content).code == "unsupported_file"


BOMB = """<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">""" + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">'
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7 nothing more",
        pdf("x")[:200],
        b"PK\x03\x04 nothing more",
        docx("<w:document"),
        docx("<!DOCTYPE x>" + WORD.format(PARAGRAPH.format("a"))),
        docx(BOMB + "]>" + WORD.replace('xmlns:w="w"', 'xmlns:w="w" ').format("&i;")),
    ],
)
def test_what_is_damaged_or_a_trap_is_invalid(tmp_path: Path, content: bytes) -> None:
    assert refusal(tmp_path, content).code == "invalid_file"


def test_an_encrypted_document_says_so(tmp_path: Path) -> None:
    refused = refusal(tmp_path, pdf("secret", password="pass"), "a.pdf")
    assert (refused.code, refused.message) == ("invalid_file", "The file is encrypted.")


def test_an_archive_that_swells_is_given_up(tmp_path: Path) -> None:
    body = WORD.format(" " * 140_000_000)
    assert refusal(tmp_path, docx(body), "a.docx").code == "invalid_file"


def test_a_text_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "MAX_TEXT_CHARS", 100_000)
    assert "characters" in refusal(tmp_path, b"word " * 30_000).message


def test_so_are_too_many_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "MAX_PIECES", 3)
    assert "pieces" in refusal(tmp_path, b"word " * 4_000).message


def test_a_worker_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    with (
        opened(tmp_path / "file", b"word " * 100_000, "a.txt", timeout_s=0.0) as found,
        pytest.raises(ExtractError) as refused,
    ):
        everything(found)
    assert refused.value.code == "invalid_file"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.pdf", ".pdf"),
        ("a.tar.GZ", ".GZ"),
        ("a", ""),
        ("", ""),
        (".", ""),
        ("a.\0", ""),
        ("--help", ""),
        ("a.p df", ""),
    ],
)
def test_no_name_becomes_an_argument(name: str, expected: str) -> None:
    assert suffix(name) == expected
