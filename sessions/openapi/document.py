"""The OpenAPI document of `/v1`, made from the same declarations that requests are checked by."""

import inspect
import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from sessions.openapi.addresses import Address, addresses, id_pattern, operation_id
from sessions.openapi.components import Components, Mode, Schema
from sessions.openapi.links import links_of
from sessions.openapi.refusals import ERROR_SCHEMAS, RESPONSES, reference, statuses_of

ROOT = "v1/"
DESCRIPTION = (
    "The API on which code written for OpenAI's hosted containers runs by changing the base URL. "
    "A parameter that is not known is refused by name. What belongs to somebody else is answered "
    "like what does not exist."
)
CLIENT_ID = {
    "name": "X-Client-Request-Id",
    "in": "header",
    "description": "An id of the program's own, of ASCII characters.",
    "schema": {"type": "string", "maxLength": 512},
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def document(server_url: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document. `server_url` is the base URL, with `/v1`. Not to be changed. Making
    it takes seconds the first time."""
    return {**_document(), "servers": [{"url": server_url}]}


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    served = addresses(ROOT)
    components = Components(_models(served))
    paths: dict[str, Any] = {}
    tags: dict[str, str] = {}
    for address in served:
        made = {
            method.lower(): _operation(address, method, operation, components)
            for method, operation in _told(address)
        }
        if made:
            if "post" in made and (links := links_of(address, served)):
                made["post"]["responses"]["200"]["links"] = links
            paths[address.path] = made
            _, first = next(_told(address))
            tags.setdefault(_tag(address), _module_sentence(first))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Berth", "version": "1.0.0", "description": DESCRIPTION},
        "security": [{"key": []}],
        "tags": [{"name": name, "description": text} for name, text in tags.items()],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key of Berth, made on the account page.",
                }
            },
            "parameters": {"ClientRequestId": CLIENT_ID},
            "headers": {
                "RequestId": {
                    "description": "By which a log can be searched.",
                    "schema": {"type": "string", "pattern": "^req_"},
                }
            },
            "responses": RESPONSES,
            "schemas": components.used_in(paths) | ERROR_SCHEMAS,
        },
    }


def _told(address: Address) -> Iterator[tuple[str, Any]]:
    for method in METHODS:
        if method in address.operations:
            yield method, address.operations[method]


def _models(served: list[Address]) -> Iterator[tuple[type[BaseModel], Mode]]:
    for address in served:
        for _, operation in _told(address):
            more = operation.unmodelled
            yield operation.body, "validation"
            yield operation.query, "validation"
            if operation.returns is not None:
                yield operation.returns, "serialization"
            if more.events is not None:
                yield more.events, "serialization"
            for model in (more.headers, more.files and more.files.fields):
                if model is not None:
                    yield model, "validation"


def _tag(address: Address) -> str:
    return address.words[0].replace("_", " ").capitalize()


def _module_sentence(operation: Any) -> str:
    """What a module of views says it is about, behind its address."""
    text = (sys.modules[operation.handler.__module__].__doc__ or "").strip().split("\n\n")[0]
    said = " ".join(text.split()).rpartition("`: ")[2]
    return said[:1].upper() + said[1:]


def _operation(
    address: Address, method: str, operation: Any, components: Components
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation_id(address, method),
        "summary": operation.summary,
        "tags": [_tag(address)],
        "parameters": _parameters(address, operation, components),
        "responses": {"200": _answer(operation, components)}
        | {status: reference(status) for status in statuses_of(address, operation)},
    }
    if operation.handler.__doc__:
        made["description"] = " ".join(inspect.cleandoc(operation.handler.__doc__).split())
    body = _body(operation, components)
    if body is not None:
        made["requestBody"] = body
    return made


# What is sent


def _parameters(address: Address, operation: Any, components: Components) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in address.parameters:
        pattern = id_pattern(address, name)
        schema: Schema = {"type": "string", "minLength": 1}
        if pattern is not None:
            schema = {"type": "string", "pattern": pattern}
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    found += _of_model("query", operation.query, components)
    if operation.unmodelled.headers is not None:
        found += _of_model("header", operation.unmodelled.headers, components)
    return [*found, {"$ref": "#/components/parameters/ClientRequestId"}]


def _of_model(
    where: str, model: type[BaseModel], components: Components
) -> Iterator[dict[str, Any]]:
    """Each field by itself: none is a model."""
    schema = components.resolved(components.reference(model, "validation"))
    required = schema.get("required", ())
    for name, one in schema.get("properties", {}).items():
        kinds = [kind for kind in one.get("anyOf", ()) if kind.get("type") != "null"]
        shown = {key: value for key, value in one.items() if key not in {"anyOf", "description"}}
        if kinds:
            shown = (kinds[0] if len(kinds) == 1 else {"anyOf": kinds}) | shown
        parameter = {"name": name, "in": where, "required": name in required, "schema": shown}
        if "description" in one:
            parameter["description"] = one["description"]
        yield parameter


def _body(operation: Any, components: Components) -> dict[str, Any] | None:
    files = operation.unmodelled.files
    schema = components.reference(operation.body, "validation")
    is_empty = not components.resolved(schema).get("properties")
    if files is None:
        if is_empty:
            return None
        return {"required": _has_required(components, schema), "content": _json(schema)}
    content: dict[str, Any] = {"multipart/form-data": {"schema": _form(operation, components)}}
    if not files.is_only_way:
        content |= _json(schema)
    return {"required": True, "content": content}


def _has_required(components: Components, schema: Schema) -> bool:
    return bool(components.resolved(schema).get("required"))


def _json(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _form(operation: Any, components: Components) -> Schema:
    files = operation.unmodelled.files
    bytes_: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}
    part = {"type": "array", "items": bytes_, "minItems": 1} if files.is_many else bytes_
    fields: Schema = {"properties": {}, "required": []}
    if files.is_only_way:
        model = files.fields or operation.body
        fields = components.resolved(components.reference(model, "validation"))
    schema: Schema = {
        "type": "object",
        "properties": {
            **{name: part | {"description": files.description} for name in files.names},
            **fields.get("properties", {}),
        },
        "required": list(fields.get("required", ())),
        "additionalProperties": False,
    }
    if len(files.names) == 1:
        schema["required"] += files.names
    else:
        schema["oneOf"] = [{"required": [name]} for name in files.names]
    return schema


# What is given back


def _answer(operation: Any, components: Components) -> dict[str, Any]:
    more = operation.unmodelled
    content: dict[str, Any] = {}
    description = "As asked."
    if operation.returns is not None:
        content = _json(components.reference(operation.returns, "serialization"))
    else:
        description = "The bytes."
        for kind in more.media_types:
            content[kind] = {"schema": {"type": "string", "contentMediaType": kind}}
    if more.events is not None:
        description = "As asked; with `stream`, the events as they come."
        content["text/event-stream"] = {
            "schema": _event(components.reference(more.events, "serialization"))
        }
    return {
        "description": description,
        "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
        "content": content,
    }


def _event(data: Schema) -> Schema:
    """One event of a stream."""
    return {
        "type": "object",
        "properties": {
            "event": {"type": "string", "description": "The `type` of the data."},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": data,
            },
        },
        "required": ["event", "data"],
    }
