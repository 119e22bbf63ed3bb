"""What can be asked of what was made: links of a document from an answer to further requests."""

from typing import Any

from sessions.openapi.addresses import Address, operation_id

_OF_A_LIST = frozenset({"items"})
"""Addresses where several are made at once."""


def links_of(address: Address, served: list[Address]) -> dict[str, Any]:
    """To each operation on what a POST to `address` makes."""
    made = f"{address.path}/{{"
    parameters = {name: f"$request.path.{name}" for name in address.parameters}
    found: dict[str, Any] = {}
    for other in served:
        own = [name for name in other.parameters if name not in parameters]
        if not other.path.startswith(made) or len(own) != 1:
            continue
        # A version is named by its number, all else by its id.
        field = "id" if own[0].endswith("_id") else own[0]
        place = f"data/0/{field}" if address.words[-1] in _OF_A_LIST else field
        for method in other.operations:
            name = operation_id(other, method)
            found[name] = {
                "operationId": name,
                "parameters": parameters | {own[0]: f"$response.body#/{place}"},
            }
    return found
