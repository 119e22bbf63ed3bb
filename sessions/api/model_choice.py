"""Which model answers a program, whatever name it asks for."""

from sessions.api.errors import ApiError
from sessions.providers.openai_chat import AUTO_MODEL
from sessions.providers.registry import LOCAL, SCRIPTED, ModelChoice
from sessions.runtime.wiring import runtime

DEFAULT = "default"
"""A name for the default, wherever it runs."""


def no_such_model(name: str) -> ApiError:
    return ApiError(
        404,
        f"The model `{name}` does not exist or you do not have access to it.",
        param="model",
        code="model_not_found",
    )


async def chosen_model(name: str | None) -> ModelChoice:
    """A model that is offered here, or that the configured endpoint lists. Whatever an endpoint
    without a list is asked for, it may well know. For all other names the default answers, where
    the administrator allows that. Raises: ApiError."""
    process = runtime()
    default = process.default_choice()
    if name is None or name == DEFAULT:
        return await _itself(default)
    for choice in process.choices():
        if name == choice.model:
            return await _itself(choice)
    if default.provider not in (LOCAL, SCRIPTED):
        names = await process.models.names()
        if names is None or name in names:
            return ModelChoice(default.provider, name, name)
    if process.models.any_name:
        return await _itself(default)
    raise no_such_model(name)


async def _itself(choice: ModelChoice) -> ModelChoice:
    """By its own name, where "the first of the endpoint" was configured."""
    if choice.model != AUTO_MODEL:
        return choice
    names = await runtime().models.names()
    return ModelChoice(choice.provider, names[0], names[0]) if names else choice
