import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.errors import InvalidInputError, OutsideWorkspaceError
from sessions.workspace.paths import (
    check_path,
    display_name,
    encode_path,
    format_path,
    parse_path,
    path_of_query_string,
    path_of_reference,
)

names = (
    st.binary(min_size=1, max_size=60)
    .filter(lambda raw: b"/" not in raw and b"\0" not in raw and raw not in {b".", b".."})
    .map(lambda raw: raw.decode("utf-8", "surrogateescape"))
)
paths = st.lists(names, max_size=6).map("/".join)


@given(paths)
def test_any_path_of_any_bytes_survives_the_round_trip(path: str) -> None:
    assert parse_path(format_path(path)) == path


@given(paths)
def test_a_query_holds_nothing_that_a_url_or_html_would_touch(path: str) -> None:
    assert set(format_path(path)) <= set(string.ascii_letters + string.digits + "-._~/%")


@given(paths)
def test_the_path_comes_through_a_whole_query_string(path: str) -> None:
    assert path_of_query_string(f"as=hex&path={format_path(path)}&offset=0") == path


@given(names, names)
def test_different_names_never_look_the_same(first: str, second: str) -> None:
    assert (display_name(first) == display_name(second)) == (first == second)


@given(st.text())
def test_what_is_accepted_cannot_lead_out(text: str) -> None:
    try:
        path = check_path(text)
    except (InvalidInputError, OutsideWorkspaceError):
        return
    assert not path.startswith("/")
    assert not {"..", ".", ""} & set(path.split("/")) or path == ""
    assert b"\0" not in encode_path(path)


@given(st.text(alphabet=st.characters(max_codepoint=0x7F)))
def test_a_forged_query_is_refused_or_harmless(query: str) -> None:
    try:
        path = parse_path(query)
    except (InvalidInputError, OutsideWorkspaceError):
        return
    assert check_path(path) == path


@pytest.mark.parametrize(
    "query", ["..", "a/..", "a/../b", "%2e%2e", "a%2f..%2fb", "/etc", "%2Fetc", "../../etc"]
)
def test_a_path_that_leads_out_is_refused(query: str) -> None:
    with pytest.raises(OutsideWorkspaceError):
        parse_path(query)


@pytest.mark.parametrize(
    "query",
    [
        *("a//b", "a/", ".", "./a", "a/./b", "%00", "a%00b", "%", "%2", "%zz", "a b", "a\n", "é"),
        *("a" * 256, "/".join(["a" * 200] * 21)),
    ],
)
def test_an_ill_formed_path_is_refused(query: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_path(query)


def test_a_second_path_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        path_of_query_string("path=a&path=b")


def test_no_path_is_the_workspace() -> None:
    assert path_of_query_string("") == ""
    assert path_of_query_string("path=") == ""


def test_a_plus_is_a_plus() -> None:
    assert path_of_query_string("path=c++.txt") == "c++.txt"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("report.txt", "report.txt"),
        ("naïve 日本語 🎉.md", "naïve 日本語 🎉.md"),
        ("a\nb\t\x1b[31m", "a\\nb\\t\\x1b[31m"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("\udcff\udc80.bin", "\\xff\\x80.bin"),
        ("back\\slash", "back\\\\slash"),
        ("non\u00a0breaking", "non\\xa0breaking"),
        ("'\"<b>", "'\"<b>"),
    ],
)
def test_what_cannot_be_seen_is_escaped(name: str, shown: str) -> None:
    assert display_name(name) == shown


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("b.md", "docs/b.md"),
        ("./x//b.md", "docs/x/b.md"),
        ("../b.md", "b.md"),
        ("/b.md", "b.md"),
        ("..", ""),
    ],
)
def test_a_reference_is_read_from_its_file(reference: str, path: str) -> None:
    assert path_of_reference(reference, base="docs/a.md") == path


def test_a_reference_that_leads_out_is_refused() -> None:
    with pytest.raises(OutsideWorkspaceError):
        path_of_reference("../../b.md", base="docs/a.md")
