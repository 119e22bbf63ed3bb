"""Workspace paths as they travel: percent-encoded bytes outside, `surrogateescape` text inside.

A path inside Berth is relative to the workspace, POSIX, with undecodable bytes kept by
`surrogateescape`; "" is the workspace itself. Outside (URLs, JSON, the database) it is the
percent-encoding of its bytes, its *query*, so that a name of any bytes survives every hop.
"""

import re
import unicodedata
from urllib.parse import quote_from_bytes, unquote_to_bytes

from sessions.errors import InvalidInputError, OutsideWorkspaceError

MAX_PATH_BYTES = 4096
MAX_NAME_BYTES = 255

_QUERY = re.compile(r"(?:[\x21-\x24\x26-\x7e]|%[0-9A-Fa-f]{2})*")

# Characters that look like nothing though Unicode counts them as letters or symbols.
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})


def parse_path(query: str) -> str:
    """The path a query stands for.

    Raises: InvalidInputError when it is ill-formed; OutsideWorkspaceError when it leads out.
    """
    if not _QUERY.fullmatch(query):
        raise InvalidInputError("The path is not percent-encoded.", param="path")
    return check_path(decode_path(unquote_to_bytes(query)))


def format_path(path: str) -> str:
    """The query of a path: only unreserved characters, `%` and `/`, so safe in any URL."""
    return quote_from_bytes(encode_path(path), safe="/")


def path_of_query_string(query_string: str, *, key: str = "path") -> str:
    """The path in a raw query string; "" when there is none.

    Django's parser would decode it as UTF-8 and lose other bytes.
    Raises: InvalidInputError, OutsideWorkspaceError, as `parse_path`.
    """
    values = [v for k, _, v in (p.partition("=") for p in query_string.split("&")) if k == key]
    if len(values) > 1:
        raise InvalidInputError(f"`{key}` is given more than once.", param=key)
    return parse_path(values[0]) if values else ""


def check_path(path: str) -> str:
    """`path` itself when it is in normal form.

    Raises: OutsideWorkspaceError for `..` and absolute paths; InvalidInputError for NUL, empty
    and `.` components, and what no file system would take.
    """
    if path == "":
        return path
    if path.startswith("/"):
        raise OutsideWorkspaceError("Paths start at the workspace, not at /.", param="path")
    if len(encode_path(path)) > MAX_PATH_BYTES:
        raise InvalidInputError(f"The path is longer than {MAX_PATH_BYTES} bytes.", param="path")
    for name in path.split("/"):
        check_name(name)
    return path


def check_name(name: str) -> str:
    """`name` itself when it can name one entry.

    Raises: OutsideWorkspaceError for `..`; InvalidInputError for all else that cannot.
    """
    if name == "..":
        raise OutsideWorkspaceError("The path leads out of the workspace.", param="path")
    if name in {"", "."}:
        raise InvalidInputError("The path has an empty part.", param="path")
    if "/" in name or "\0" in name:
        raise InvalidInputError("A name cannot hold a slash or a NUL byte.", param="path")
    if len(encode_path(name)) > MAX_NAME_BYTES:
        raise InvalidInputError(f"A name is longer than {MAX_NAME_BYTES} bytes.", param="path")
    return name


def encode_path(path: str) -> bytes:
    """Raises: InvalidInputError for a surrogate that stands for no byte."""
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise InvalidInputError("The path is not valid Unicode.", param="path") from error


def decode_path(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def join_path(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def name_of(path: str) -> str:
    """The last component; "" for the workspace itself."""
    return path.rpartition("/")[2]


def parent_of(path: str) -> str:
    return path.rpartition("/")[0]


def path_of_reference(reference: str, *, base: str) -> str:
    """The path a relative reference in the file `base` names, as in a link of a page.

    Raises: OutsideWorkspaceError when it leads out; InvalidInputError as `check_path`.
    """
    names = [] if reference.startswith("/") else base.split("/")[:-1]
    for name in reference.split("/"):
        if name == ".." and not names:
            raise OutsideWorkspaceError("The reference leads out of the workspace.")
        if name == "..":
            names.pop()
        elif name not in {"", "."}:
            names.append(name)
    return check_path("/".join(names))


def display_name(text: str) -> str:
    r"""A name or path for people: what cannot be seen or would reorder the line is escaped.

    Bytes that are not UTF-8 appear as `\xff`, others as `\n`, `\u202e`; a backslash is doubled,
    so two different names never look the same.
    """
    return "".join(map(_display_character, text))


def _display_character(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    if character == "\\":
        return "\\\\"
    if character == " " or (
        unicodedata.category(character) not in _UNSAFE_CATEGORIES and character not in _BLANKS
    ):
        return character
    return character.encode("unicode_escape").decode("ascii")
