"""What a response goes on from."""

import uuid
from typing import Any

from django.db.models import QuerySet

from sessions.models import ApiResponse, Conversation, ConversationItem
from sessions.responses.settle import settle

MAX_CHAIN = 1_000
"""Responses, one on the other."""


async def items_before(
    previous: ApiResponse | None, conversation: Conversation | None
) -> list[dict[str, Any]]:
    """What is there before a response's own input, the first first."""
    if conversation is not None:
        return [row.body async for row in _of_conversation(conversation.id)]
    return [] if previous is None else await _up_to(previous)


def _of_conversation(conversation_id: uuid.UUID) -> QuerySet[ConversationItem]:
    rows = ConversationItem.objects.filter(conversation_id=conversation_id)
    return rows.order_by("position")


async def _up_to(last: ApiResponse) -> list[dict[str, Any]]:
    """Items of the chain that ends with `last`, and of the conversation that it was part of."""
    chain: list[ApiResponse] = []
    response: ApiResponse | None = last
    while response is not None and len(chain) < MAX_CHAIN:
        chain.append(await settle(response))
        key = response.previous_id
        response = await ApiResponse.objects.filter(id=key).afirst() if key else None
    items: list[dict[str, Any]] = []
    for one in reversed(chain):
        items += [*one.input, *(one.output or ())]
    before = chain[-1].conversation_id
    if before is None:
        return items
    own = {item["id"] for item in items}
    rows = _of_conversation(before)
    return [row.body async for row in rows if row.item_id not in own] + items
