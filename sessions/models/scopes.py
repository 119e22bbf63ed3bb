"""What an API key may do: `all`, `read`, or some of `<group>.read` and `<group>.write`.

`read` is `<group>.read` for every group. Who may write in a group may read in it.
"""

from collections.abc import Collection, Iterable
from typing import Final

ALL: Final = "all"
READ: Final = "read"

GROUPS: Final = {
    "responses": "Responses",
    "chat_completions": "Chat completions",
    "conversations": "Conversations",
    "containers": "Containers and their files",
    "files": "Files, vector stores and skills",
    "models": "Models",
    "sessions": "Sessions: pages, files and sockets outside of /v1",
}
"""By name, as people read them."""
READ_ONLY_GROUPS: Final = frozenset({"models"})

OF_ADDRESS: Final = {
    "responses": "responses",
    "chat": "chat_completions",
    "conversations": "conversations",
    "containers": "containers",
    "files": "files",
    "vector_stores": "files",
    "skills": "files",
    "models": "models",
}
"""The group of what begins with this below `/v1`. What is not here needs `all`."""

SCOPES: Final = (
    ALL,
    READ,
    *(
        f"{group}.{access}"
        for group in GROUPS
        for access in ("read", "write")
        if access == "read" or group not in READ_ONLY_GROUPS
    ),
)
READING_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def access_of(method: str | None) -> str:
    return "read" if method in READING_METHODS else "write"


def scope_of(path: str, access: str) -> str:
    """What a key needs at `path`, which begins with `/v1/`."""
    group = OF_ADDRESS.get(path.removeprefix("/v1/").partition("/")[0])
    return f"{group}.{access}" if group else ALL


def allows(granted: Collection[str], needed: str) -> bool:
    if ALL in granted or needed in granted:
        return True
    group, _, access = needed.partition(".")
    return access == "read" and (READ in granted or f"{group}.write" in granted)


def normalised(scopes: Iterable[str]) -> list[str]:
    """Without what others include, in the order of `SCOPES`. Raises: ValueError with the one that
    nobody knows."""
    given = set(scopes)
    for unknown in sorted(given - set(SCOPES)):
        raise ValueError(unknown)
    if ALL in given:
        return [ALL]
    return [
        scope
        for scope in SCOPES
        if scope in given and (scope == READ or not allows(given - {scope}, scope))
    ]
