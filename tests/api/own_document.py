"""Our own OpenAPI document as a judge of what is answered."""

import re
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator

from sessions.openapi.document import document

BASE = "http://testserver/v1"


def own() -> dict[str, Any]:
    return document(BASE)


def own_problems(schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with `value`; empty when it is as the schema says."""
    whole = {**schema, "components": own()["components"]}
    return [
        f"{error.json_path}: {error.message[:300]}"
        for error in Draft202012Validator(whole).iter_errors(value)
    ]


def own_schema_of(method: str, path: str, status: int) -> dict[str, Any] | None:
    """Of the JSON answer to a request of a path without `/v1`; None for an address or a method that
    is not served. Raises: KeyError for an answer that the document does not say."""
    for template, operations in own()["paths"].items():
        # Of a model's name the slashes belong to it.
        pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template)).replace(
            "/models/[^/]+", "/models/.+"
        )
        if re.fullmatch(pattern, path) and method.lower() in operations:
            responses = operations[method.lower()]["responses"]
            found = responses.get(str(status)) or responses[f"{status // 100}XX"]
            if "$ref" in found:
                found = own()["components"]["responses"][found["$ref"].rpartition("/")[2]]
            schema: dict[str, Any] = found["content"]["application/json"]["schema"]
            return schema
    return None


@lru_cache(maxsize=1)
def _event_schemas() -> dict[str, dict[str, Any]]:
    schemas = own()["components"]["schemas"]
    found = {}
    for one in schemas["ResponseEvent"]["anyOf"]:
        schema = schemas[one["$ref"].rpartition("/")[2]]
        kind = schema["properties"]["type"]
        for name in [kind["const"]] if "const" in kind else kind.get("enum", []):
            found[name] = one
    return found


def own_event_schema(kind: str) -> dict[str, Any]:
    """That of events of kinds that are not told apart where it has none of its own."""
    return _event_schemas().get(kind, {"$ref": "#/components/schemas/OtherEvent"})
