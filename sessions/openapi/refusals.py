"""Answers that are not the ones asked for, which all have one shape."""

from collections.abc import Iterator
from typing import Any

from sessions.openapi.addresses import Address
from sessions.openapi.components import PREFIX, Schema

_SHAPE = {"application/json": {"schema": {"$ref": f"{PREFIX}ErrorResponse"}}}
_WORDS = {
    "400": "Something that was sent is wrong; `param` names it.",
    "401": "There is no key, or it is unknown or revoked.",
    "403": "The key may not do this, or a path leads out of the workspace.",
    "404": "It does not exist, or is another user's: nobody can tell which.",
    "409": "It is in another state than the program thinks.",
    "413": "More was sent than is taken.",
    "422": "What was asked for failed before it began; the message says why.",
    "429": "Too much was asked in too short a time; `Retry-After` says when to come again.",
    "4XX": "It cannot be done.",
    "5XX": "The server, the container's engine or the model's endpoint failed.",
}
_EVERYWHERE = ("400", "401", "403", "429", "5XX")

ERROR_SCHEMAS: dict[str, Schema] = {
    "Error": {
        "title": "Error",
        "type": "object",
        "properties": {
            "message": {"type": "string", "description": "For a person."},
            "type": {"type": "string"},
            "param": {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "description": "What of the request it is about: `tools[0].environment`.",
            },
            "code": {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "description": "For a program; stays as it is.",
            },
        },
        "required": ["message", "type", "param", "code"],
    },
    "ErrorResponse": {
        "title": "ErrorResponse",
        "type": "object",
        "properties": {"error": {"$ref": f"{PREFIX}Error"}},
        "required": ["error"],
    },
}
RESPONSES: dict[str, Any] = {
    f"Error{status}": {"description": words, "content": _SHAPE} for status, words in _WORDS.items()
}


def reference(status: str) -> dict[str, str]:
    return {"$ref": f"#/components/responses/Error{status}"}


def statuses_of(address: Address, operation: Any) -> Iterator[str]:
    """In their order; each may be answered."""
    found = {*_EVERYWHERE, *map(str, operation.unmodelled.errors)}
    takes_body = bool(operation.body.model_fields) or operation.unmodelled.files is not None
    if address.parameters or takes_body:
        found.add("404")  # also of what a body names
    if address.parameters:
        found.add("409")
    if takes_body:
        found |= {"409", "413"}
    yield from sorted(found)
