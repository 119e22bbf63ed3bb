"""JSON by the C half of the `json` package alone.

`import json` brings in `re` and `enum`: over a megabyte, in a process that each container keeps
for life. The C scanner and encoder underneath need neither.
"""

from __future__ import annotations

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Context:
    """The settings that the C scanner reads from its decoder."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    memo: dict[str, str] = {}

    @staticmethod
    def parse_constant(name: str) -> Any:
        raise ValueError(name + " is not JSON")


def _refuse(value: object) -> Any:
    raise TypeError("not JSON: " + type(value).__name__)


_scan = _json.make_scanner(_Context())  # type: ignore[arg-type]
_encode = _json.make_encoder(
    None, _refuse, _json.encode_basestring_ascii, None, ":", ",", False, False, False
)


def decode(data: bytes) -> Any:
    """Raises: ValueError, also for text after the value and for values nested too deeply."""
    text = data.decode("utf-8")
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("no JSON value") from None
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    if end != len(text):
        raise ValueError("text after the JSON value")
    return value


def encode(value: object) -> bytes:
    """ASCII; lone surrogates of undecodable names survive as escapes."""
    return "".join(_encode(value, 0)).encode("ascii")
