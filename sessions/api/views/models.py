"""`/v1/models`: what this installation can ask."""

from typing import Literal

from sessions.api.endpoint import Call, operation
from sessions.api.errors import ApiError
from sessions.api.schema import NoBody, NoQuery, Resource
from sessions.providers.registry import ModelChoice
from sessions.runtime.wiring import runtime


class Model(Resource):
    id: str
    object: Literal["model"] = "model"
    created: int = 0
    """Not known of models that others serve."""
    owned_by: str


class ModelList(Resource):
    object: Literal["list"] = "list"
    data: list[Model]


def _model(choice: ModelChoice) -> Model:
    return Model(id=choice.model, owned_by=choice.provider)


@operation(summary="List the models that can be named", returns=ModelList)
async def model_list(call: Call[NoBody, NoQuery]) -> ModelList:
    """The default first."""
    return ModelList(data=[_model(choice) for choice in runtime().choices()])


@operation(summary="One model", returns=Model)
async def model_get(call: Call[NoBody, NoQuery], model: str) -> Model:
    for choice in runtime().choices():
        if choice.model == model:
            return _model(choice)
    raise ApiError(
        404, f"The model '{model}' does not exist here.", param="model", code="model_not_found"
    )
