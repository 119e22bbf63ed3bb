"""The document as a page shows it: operations by subject, and each schema once."""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sessions.openapi.components import PREFIX, Schema

RESPONSES_PREFIX = "#/components/responses/"
KEY = "$BERTH_KEY"
_FACTS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
    "maxProperties": "at most {} pairs",
    "minimum": "from {}",
    "maximum": "up to {}",
    "exclusiveMinimum": "above {}",
    "pattern": "like {}",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Of the words for a kind of value; `schema` where it is one with fields of its own."""

    text: str
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: list[Part]
    description: str = ""
    is_required: bool = False
    facts: list[str] = field(default_factory=list)

    @property
    def schemas(self) -> list[str]:
        return list(dict.fromkeys(part.schema for part in self.kind if part.schema))


@dataclass(frozen=True, slots=True)
class Body:
    media_type: str
    kind: list[Part]
    fields: list[Field]


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    description: str
    bodies: list[Body]


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    method: str
    path: str
    summary: str
    description: str
    parameters: dict[str, list[Field]]
    """By where they are."""
    bodies: list[Body]
    answers: list[Answer]
    refusals: list[Answer]
    curl: str


@dataclass(frozen=True, slots=True)
class Subject:
    name: str
    description: str
    operations: list[Operation]


@dataclass(frozen=True, slots=True)
class Shown:
    """A schema with a name."""

    name: str
    description: str
    kind: list[Part]
    fields: list[Field]


def subjects(document: Mapping[str, Any]) -> list[Subject]:
    found: dict[str, Subject] = {
        tag["name"]: Subject(tag["name"], tag["description"], []) for tag in document["tags"]
    }
    base = document["servers"][0]["url"]
    for path, operations in document["paths"].items():
        for method, one in operations.items():
            shown = _operation(document, base, path, method.upper(), one)
            found[one["tags"][0]].operations.append(shown)
    return list(found.values())


def schemas(document: Mapping[str, Any]) -> list[Shown]:
    return [
        Shown(
            name=name,
            description=schema.get("description", ""),
            kind=[] if "properties" in schema else kind_of(schema),
            fields=fields_of(schema),
        )
        for name, schema in sorted(document["components"]["schemas"].items())
    ]


def _operation(
    document: Mapping[str, Any], base: str, path: str, method: str, one: Mapping[str, Any]
) -> Operation:
    parameters: dict[str, list[Field]] = {}
    for parameter in one["parameters"]:
        if "$ref" in parameter:
            continue  # told once, for all
        shown = _field(parameter["name"], parameter["schema"], is_required=parameter["required"])
        described = Field(
            shown.name,
            shown.kind,
            parameter.get("description", shown.description),
            shown.is_required,
            shown.facts,
        )
        parameters.setdefault(parameter["in"], []).append(described)
    answers = [_answer(document, status, told) for status, told in one["responses"].items()]
    content = one.get("requestBody", {}).get("content", {})
    return Operation(
        name=one["operationId"],
        method=method,
        path=path,
        summary=one["summary"],
        description=one.get("description", ""),
        parameters=parameters,
        bodies=list(_bodies(content)),
        answers=[answer for answer in answers if answer.status.startswith("2")],
        refusals=[answer for answer in answers if not answer.status.startswith("2")],
        curl=_curl(document, base + path, method, content),
    )


def _answer(document: Mapping[str, Any], status: str, told: Mapping[str, Any]) -> Answer:
    if "$ref" in told:
        told = document["components"]["responses"][told["$ref"].removeprefix(RESPONSES_PREFIX)]
    return Answer(status, told["description"], list(_bodies(told.get("content", {}))))


def _bodies(content: Mapping[str, Any]) -> Iterator[Body]:
    for media_type, told in content.items():
        yield Body(media_type, kind_of(told["schema"]), fields_of(told["schema"]))


# Kinds in words


def fields_of(schema: Schema) -> list[Field]:
    required = schema.get("required", ())
    return [
        _field(name, one, is_required=name in required)
        for name, one in schema.get("properties", {}).items()
    ]


def _field(name: str, schema: Schema, *, is_required: bool) -> Field:
    facts = [words.format(schema[key]) for key, words in _FACTS.items() if key in schema]
    if schema.get("default") is not None and "const" not in schema:
        facts.append(f"otherwise {json.dumps(schema['default'])}")
    for one in schema.get("anyOf", ()):
        facts += [words.format(one[key]) for key, words in _FACTS.items() if key in one]
    return Field(name, kind_of(schema), schema.get("description", ""), is_required, facts)


def kind_of(schema: Schema) -> list[Part]:
    """`list of Message or FunctionCall`."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(PREFIX)
        return [Part(name, name)]
    if "const" in schema:
        return [Part(json.dumps(schema["const"]))]
    if "enum" in schema:
        return [Part(" | ".join(json.dumps(one) for one in schema["enum"]))]
    several = schema.get("anyOf") or schema.get("oneOf")
    if several and all(kind_of(one) for one in several) and "properties" not in schema:
        return _joined(several)
    if "contentSchema" in schema:
        return kind_of(schema["contentSchema"])
    if schema.get("contentMediaType"):
        return [Part("bytes")]
    match schema.get("type"):
        case "array":
            return [Part("list of "), *kind_of(schema.get("items", {}))]
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return [Part("map to "), *kind_of(schema["additionalProperties"])]
        case str(kind):
            return [Part(kind)]
    return [Part("anything")]


def _joined(several: list[Schema]) -> list[Part]:
    parts: list[Part] = []
    for one in several:
        parts += [Part(" or "), *kind_of(one)]
    return parts[1:]


# An example


def _curl(document: Mapping[str, Any], url: str, method: str, content: Mapping[str, Any]) -> str:
    for name in {part for part in url.split("/") if part.startswith("{")}:
        url = url.replace(name, name.strip("{}").upper())
    lines = [
        f"curl {shlex.quote(url)}" if method == "GET" else f"curl -X {method} {shlex.quote(url)}"
    ]
    lines.append(f'-H "Authorization: Bearer {KEY}"')
    if "application/json" in content:
        body = example_of(document, content["application/json"]["schema"])
        lines.append("-H 'Content-Type: application/json'")
        lines.append(f"-d {shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))}")
    elif "multipart/form-data" in content:
        schema = content["multipart/form-data"]["schema"]
        lines += [f"-F {shlex.quote(one)}" for one in _form_fields(document, schema)]
    return " \\\n  ".join(lines)


def _form_fields(document: Mapping[str, Any], schema: Schema) -> Iterator[str]:
    names = schema["required"] or [schema["oneOf"][0]["required"][0]]
    names = [*names, *(one["required"][0] for one in schema.get("oneOf", ())[:1])]
    for name in dict.fromkeys(names):
        one = schema["properties"][name]
        if one.get("contentMediaType"):
            yield f"{name}=@notes.txt"
        elif one.get("type") == "array":
            yield f"{name}=@SKILL.md;filename=my-skill/SKILL.md"
        else:
            yield f"{name}={example_of(document, one)}"


def example_of(document: Mapping[str, Any], schema: Schema) -> Any:
    """One that is written down, else what has to be there."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(PREFIX)
        return example_of(document, document["components"]["schemas"][name])
    for key in ("examples", "enum", "anyOf", "oneOf"):
        if schema.get(key):
            first = schema[key][0]
            return first if key in {"examples", "enum"} else example_of(document, first)
    if "const" in schema:
        return schema["const"]
    match schema.get("type"):
        case "object":
            required = schema.get("required", ())
            return {
                name: example_of(document, one)
                for name, one in schema.get("properties", {}).items()
                if name in required
            }
        case "array":
            return [example_of(document, schema["items"])]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
    return "…"
