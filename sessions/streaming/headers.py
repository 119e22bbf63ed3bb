"""Headers of a handshake."""

from typing import Any


def header(scope: dict[str, Any], name: bytes) -> str:
    """Empty when it is missing, and when there are several to choose from."""
    values = [value for key, value in scope["headers"] if key == name]
    return values[0].decode("latin1") if len(values) == 1 else ""
