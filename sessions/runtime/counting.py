"""How long the request would be that a program is about to make."""

from functools import partial

from sessions.agent.loop import TurnState
from sessions.agent.skills import SkillOnOffer
from sessions.models import ApiResponse
from sessions.providers.base import CountsTokens, ModelRequest, Provider
from sessions.providers.counting import estimated_tokens
from sessions.responses.model_items import model_items
from sessions.responses.output_items import Fields
from sessions.responses.sealed import unseal
from sessions.runtime.plan import has_container, model_options, told_and_tools
from sessions.runtime.skills import with_skills
from sessions.sandbox.limits import Limits


async def input_tokens(
    response: ApiResponse, before: list[Fields], provider: Provider, limits: Limits
) -> int:
    """Of a response that is not stored, behind what was there `before`: as the endpoint counts, else
    an estimate. Raises: ProviderError."""
    items = model_items(
        [*before, *response.input],
        has_container=has_container(response),
        unseal=partial(unseal, response.owner_id),
    )
    told, tools, callers_tools = told_and_tools(response, provider, limits, items)
    skills = [SkillOnOffer(**skill) for skill in response.request.get("local_skills", ())]
    request = ModelRequest(
        told,
        with_skills(TurnState(0, items), skills).items,
        [*(tool.spec for tool in tools), *callers_tools],
        model_options(response.request),
    )
    counted = None
    if isinstance(provider, CountsTokens):
        counted = await provider.count_tokens(request)
    return estimated_tokens(request) if counted is None else counted
