"""`/v1/models`: what this installation can ask."""

from typing import Literal

from sessions.api.endpoint import Call, operation
from sessions.api.model_choice import no_such_model
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


async def _models() -> list[Model]:
    """The default first, then what else the endpoint has."""
    process = runtime()
    models = [_model(choice) for choice in process.choices()]
    named = {model.id for model in models}
    owner = process.default_choice().provider
    others = await process.models.names() or ()
    return models + [Model(id=name, owned_by=owner) for name in others if name not in named]


@operation(summary="List the models that can be named", returns=ModelList)
async def model_list(call: Call[NoBody, NoQuery]) -> ModelList:
    """The default first."""
    return ModelList(data=await _models())


@operation(summary="One model", returns=Model)
async def model_get(call: Call[NoBody, NoQuery], model: str) -> Model:
    for found in await _models():
        if found.id == model:
            return found
    raise no_such_model(model)
