"""The published OpenAPI document as a judge of what is answered.

`openapi-subset.json` holds the addresses served here and the schemas they need, taken from
github.com/openai/openai-openapi (MIT), version 2.3.0.
"""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT = Path(__file__).with_name("openapi-subset.json")
_URI = "urn:openai"


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return loaded


@lru_cache(maxsize=1)
def _registry() -> Any:
    resource = Resource.from_contents(document(), default_specification=DRAFT202012)
    return Registry().with_resource(_URI, resource)


def problems(schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with `value`; empty when it is as the schema says."""
    absolute = json.loads(json.dumps(schema).replace('"#/', f'"{_URI}#/'))
    validator = Draft202012Validator(absolute, registry=_registry())
    return [
        f"{error.json_path}: {error.message[:300]}"
        for error in sorted(validator.iter_errors(value), key=str)
    ]


def schema_of(method: str, path: str, status: int) -> dict[str, Any] | None:
    """Of the JSON answer to a request of a path without `/v1`; None where the document says
    nothing of one."""
    if status >= 400:
        return {"$ref": "#/components/schemas/ErrorResponse"}
    for template, operations in document()["paths"].items():
        pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in operations:
            responses = operations[method.lower()]["responses"]
            content = responses.get("200", {}).get("content", {})
            schema: dict[str, Any] | None = content.get("application/json", {}).get("schema")
            return schema
    return None


@lru_cache(maxsize=1)
def _event_names() -> dict[str, str]:
    """Name of the schema of each event of a stream."""
    names = {}
    for name, schema in document()["components"]["schemas"].items():
        kinds = schema.get("properties", {}).get("type", {}).get("enum", ())
        if name.endswith("Event") and len(kinds) == 1:
            names[kinds[0]] = name
    return names


def _patch_event(name: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "type": {"const": f"response.apply_patch_call_operation_diff.{name}"},
        "sequence_number": {"type": "integer"},
        "item_id": {"type": "string"},
        "output_index": {"type": "integer"},
        {"delta": "delta", "done": "diff"}[name]: {"type": "string"},
    }
    return {"properties": fields, "required": list(fields), "additionalProperties": False}


RECORDED = {
    _patch_event(name)["properties"]["type"]["const"]: _patch_event(name)
    for name in ("delta", "done")
}
"""Events of the hosted API that its document does not have (github.com/vercel/ai has recordings)."""


def event_schema(kind: str) -> dict[str, Any]:
    """Raises: KeyError for an event that the document does not know."""
    if kind in RECORDED:
        return RECORDED[kind]
    return {"$ref": f"#/components/schemas/{_event_names()[kind]}"}
