"""The shapes in which items are given back, for the document: more of an item is always there than
has to be sent."""

from functools import reduce
from operator import or_
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, GetJsonSchemaHandler, RootModel, TypeAdapter
from pydantic_core import CoreSchema
from typing_extensions import override

from sessions.api import items


def _kinds() -> list[type[BaseModel]]:
    """All but references, in whose place is what they name."""
    union, _ = get_args(items.Item)
    kinds: list[type[BaseModel]] = [get_args(kind)[0] for kind in get_args(union)]
    return [kind for kind in kinds if kind is not items.ItemReference]


class Item(RootModel[Any]):
    """An item of a conversation or a response, with an id of its own."""

    @classmethod
    @override
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        made = handler(core_schema)
        union: Any = Annotated[reduce(or_, _kinds()), Field(discriminator="type")]
        handler.resolve_ref_schema(made).update(handler(TypeAdapter(union).core_schema))
        return made
