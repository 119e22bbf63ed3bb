import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.workspace.sniff import decode_text, file_kind, image_type

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "image/jpeg"),
        (b"GIF89a" + bytes(20), "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1", "image/avif"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0avifmiaf", "image/avif"),
        (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "image/bmp"),
        (b"\0\0\1\0\1\0\x10\x10", "image/x-icon"),
    ],
)
def test_images_are_told_by_their_magic_bytes(head: bytes, content_type: str) -> None:
    assert image_type(head) == content_type
    assert file_kind(head, "named.txt", is_whole=True) == "image"


@pytest.mark.parametrize(
    "head",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b"<!doctype html><script>alert(1)</script>",
        b"BMW is a car maker, and this is a text.",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"%PDF-1.7",
        b"",
    ],
)
def test_nothing_else_is_an_image(head: bytes) -> None:
    assert image_type(head) is None


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"# Title\n", "README.md", "markdown"),
        (b"a,b\n1,2\n", "DATA.CSV", "table"),
        (b"{}", "a.json", "json"),
        (b"<svg/>", "picture.svg", "page"),
        (b"<svg onload=alert(1)>", "picture.png", "page"),
        (b"  <!DOCTYPE html>", "no suffix", "page"),
        (b"print('hi')\n", "a.py", "text"),
        (b"", "empty", "text"),
        (b"\x1b[31mred\x1b[0m\n", "run.log", "text"),
        ("naïve\n".encode("latin-1"), "latin.txt", "text"),
        ("text".encode("utf-16"), "wide.txt", "text"),
        (b"\x7fELF\x02\x01\x01\0", "a.txt", "binary"),
        (bytes(range(256)), "all.md", "binary"),
    ],
)
def test_a_name_only_refines_what_the_bytes_say(head: bytes, name: str, kind: str) -> None:
    assert file_kind(head, name, is_whole=True) == kind


def test_a_character_cut_by_the_end_of_the_head_is_no_mistake() -> None:
    cut = "aé".encode()[:-1]
    assert decode_text(cut, is_whole=False) == ("a", True)
    assert decode_text(cut, is_whole=True) == ("a\ufffd", False)


def test_a_byte_order_mark_is_not_shown() -> None:
    assert decode_text(b"\xef\xbb\xbfhi") == ("hi", True)
    assert decode_text("hi".encode("utf-16")) == ("hi", True)


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_can_be_decoded(raw: bytes, is_whole: bool) -> None:
    text, is_valid = decode_text(raw, is_whole=is_whole)
    assert (
        "\ufffd" not in text
        or not is_valid
        or "\ufffd".encode() in raw
        or raw[:2]
        in {
            b"\xff\xfe",
            b"\xfe\xff",
        }
    )
    file_kind(raw, "a.csv", is_whole=is_whole)


@given(st.text())
def test_valid_text_comes_back_as_it_was(text: str) -> None:
    raw = text.removeprefix("\ufeff").encode()
    assert decode_text(raw) == (text.removeprefix("\ufeff").removeprefix("\ufeff"), True)
