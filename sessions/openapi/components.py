"""Models as the schemas of a document, each once and under a name of its own."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from typing_extensions import override

Schema: TypeAlias = dict[str, Any]
Mode: TypeAlias = Literal["validation", "serialization"]
"""Of what is sent, and of what is given back."""
PREFIX = "#/components/schemas/"


class _Generator(GenerateJsonSchema):
    @override
    def ser_schema(self, schema: Any) -> Schema | None:
        # A serializer that only leaves fields out says nothing about those that stay.
        return None if schema.get("type") == "function-wrap" else super().ser_schema(schema)

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    @override
    def tagged_union_schema(self, schema: Any) -> Schema:
        made = super().tagged_union_schema(schema)
        if "discriminator" not in made and "oneOf" in made:
            # Which kind it is, is found out and not told: several may allow for it.
            made["anyOf"] = made.pop("oneOf")
        return made


class Components:
    """`schemas` by name, and the reference to that of each model."""

    def __init__(self, models: Iterable[tuple[type[BaseModel], Mode]]) -> None:
        wanted = sorted(set(models), key=lambda one: (one[0].__module__, one[0].__name__, one[1]))
        references, made = models_json_schema(
            wanted, schema_generator=_Generator, ref_template=PREFIX + "{model}"
        )
        found: dict[str, Schema] = made.get("$defs", {})
        names = _short_names(found)
        self._references: dict[Any, Schema] = {
            key: _renamed(reference, names) for key, reference in references.items()
        }
        self.schemas: dict[str, Schema] = {
            names[name]: _renamed(schema, names) | {"title": names[name]}
            for name, schema in sorted(found.items(), key=lambda one: names[one[0]])
        }

    def reference(self, model: type[BaseModel], mode: Mode) -> Schema:
        """Raises: KeyError."""
        return self._references[model, mode]

    def resolved(self, schema: Schema) -> Schema:
        """What a reference stands for; another schema as it is."""
        name = schema.get("$ref", "").removeprefix(PREFIX)
        return self.schemas[name] if name else schema

    def used_in(self, value: Any) -> dict[str, Schema]:
        """Those that it refers to, directly or by others."""
        found: set[str] = set()
        waiting = [value]
        while waiting:
            new = set(_named(waiting.pop())) - found
            found |= new
            waiting += [self.schemas[name] for name in new if name in self.schemas]
        return {name: schema for name, schema in self.schemas.items() if name in found}


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _named(one)
    elif isinstance(value, list):
        for one in value:
            yield from _named(one)
    elif isinstance(value, str) and value.startswith(PREFIX):
        yield value.removeprefix(PREFIX)


def _short_names(found: Iterable[str]) -> dict[str, str]:
    """Pydantic tells classes of one name apart by their whole module, and what is sent from what
    is given back by an ending."""
    names: dict[str, str] = {}
    for name in found:
        long, _, ending = name.partition("-")
        *modules, last = long.split("__")
        short = _joined(_singular_camel(modules[-1]), last) if modules else last
        names[name] = f"Given{short}" if ending == "Output" else short
    taken = list(names.values())
    return {
        name: short if taken.count(short) == 1 else re.sub(r"\W", "_", name)
        for name, short in names.items()
    }


def _singular_camel(module: str) -> str:
    return "".join(word.capitalize() for word in module.removesuffix("s").split("_"))


def _joined(first: str, second: str) -> str:
    """Without saying twice what both say: ContainerFile and FileList are a ContainerFileList."""
    for length in range(min(len(first), len(second)), 0, -1):
        if first.endswith(second[:length]) and second[0].isupper():
            return first + second[length:]
    return first + second


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """Also without the defaults that say nothing."""
    if isinstance(value, list):
        return [_renamed(one, names) for one in value]
    if isinstance(value, str) and value.startswith(PREFIX):
        return PREFIX + names[value.removeprefix(PREFIX)]
    if isinstance(value, dict):
        return {
            key: _renamed(one, names)
            for key, one in value.items()
            if not (key == "default" and one is None)
        }
    return value
