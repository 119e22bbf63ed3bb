"""What requests and answers are made of."""

from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)


class RequestPart(BaseModel):
    """Fields nobody knows are refused by name, and a number is no string."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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


class PageQuery(RequestPart):
    """Which part of a list."""

    model_config = ConfigDict(extra="ignore", strict=False, frozen=True)

    after: str | None = Field(None, description="Id of the last object seen.")
    limit: int = Field(20, ge=1, le=100)
    order: Literal["asc", "desc"] = Field("desc", description="By the time of creation.")


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
