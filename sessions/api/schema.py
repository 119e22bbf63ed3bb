"""What requests and answers are made of."""

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic_core import CoreSchema
from typing_extensions import override


class RequestPart(BaseModel):
    """Fields nobody knows are refused by name, and a number is no string."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    repeated: ClassVar[frozenset[str]] = frozenset()
    """Fields of a query that may be sent several times, also as `name[]`."""


class Resource(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    absent_when_none: ClassVar[bool] = False
    """Whether fields without a value are left out: the API's document does not allow null
    everywhere."""

    @model_serializer(mode="wrap")
    def _without_absent(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        if self.absent_when_none:
            return {name: value for name, value in fields.items() if value is not None}
        return fields

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    @classmethod
    @override
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """A field may be missing when it is left out without a value, or None by default."""
        made = handler(core_schema)
        schema = handler.resolve_ref_schema(made)
        properties: dict[str, Any] = schema.get("properties", {})
        absent = {name for name, field in cls.model_fields.items() if field.default is None}
        if cls.absent_when_none:
            absent |= {name for name, one in properties.items() if without_null(one) != one}
        for name in absent:
            properties[name] = without_null(properties[name])
        schema["required"] = [name for name in properties if name not in absent]
        return made


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a value that is there."""
    kinds = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if not kinds or len(kinds) == len(schema["anyOf"]):
        return schema
    others = {name: one for name, one in schema.items() if name != "anyOf"}
    return (kinds[0] if len(kinds) == 1 else {"anyOf": kinds}) | others


class PageQuery(RequestPart):
    """Which part of a list."""

    model_config = ConfigDict(extra="ignore", strict=False, frozen=True)

    after: str | None = Field(None, description="Id of the last object seen.")
    limit: int = Field(20, ge=1, le=100)
    order: Literal["asc", "desc"] = Field("desc", description="By the time of creation.")


def with_example(**fields: Any) -> ConfigDict:
    """For the document."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


@dataclass(frozen=True, slots=True)
class FormFiles:
    """The files of a form, which a handler reads by itself."""

    names: tuple[str, ...]
    """Of the part; any of them."""
    description: str
    is_many: bool = False
    is_only_way: bool = True
    """Whether nothing but a form is taken."""
    fields: type["RequestPart"] | None = None
    """Those beside the files, where they are not those of the body."""


@dataclass(frozen=True, slots=True)
class Unmodelled:
    """What is to be told of an operation beside what it takes and gives as JSON."""

    files: FormFiles | None = None
    events: type[BaseModel] | None = None
    """What comes instead of JSON when a stream is asked for."""
    media_types: tuple[str, ...] = ("application/octet-stream",)
    """Of bytes that are given back: one of them."""
    headers: type["RequestPart"] | None = None
    """Those it looks at beside the key; their names are aliases."""
    errors: tuple[int | Literal["4XX"], ...] = ()
    """Statuses of refusals that only this operation has; `4XX` are those of a model's endpoint."""


NOTHING_MORE = Unmodelled()


class NoQuery(RequestPart):
    model_config = ConfigDict(extra="ignore", frozen=True)


class NoBody(RequestPart):
    """The clients send an empty body with a JSON content type along with DELETE."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Identified(Resource):
    id: str


T = TypeVar("T", bound=Identified)


class ListPage(Resource, Generic[T]):
    object: Literal["list"] = "list"
    data: list[T]
    first_id: str
    last_id: str
    has_more: bool

    @classmethod
    def of(cls, data: list[T], *, has_more: bool) -> Self:
        return cls(
            data=data,
            first_id=data[0].id if data else "",
            last_id=data[-1].id if data else "",
            has_more=has_more,
        )


class Deleted(Resource):
    id: str
    object: str
    deleted: bool = True
