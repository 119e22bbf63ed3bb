"""What a response goes on from."""

from typing import Any

from sessions.models import ApiResponse, ConversationItem
from sessions.responses.settle import settle

MAX_CHAIN = 1_000
"""Responses, one on the other."""


async def earlier_items(response: ApiResponse) -> list[dict[str, Any]]:
    """Items before its own input, the first first."""
    if response.conversation_id is not None:
        rows = ConversationItem.objects.filter(conversation_id=response.conversation_id)
        return [row.body async for row in rows.order_by("position")]
    if response.previous_id is None:
        return []
    previous = await ApiResponse.objects.aget(id=response.previous_id)
    return await items_up_to(previous)


async def items_up_to(last: ApiResponse) -> list[dict[str, Any]]:
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
    rows = ConversationItem.objects.filter(conversation_id=before).order_by("position")
    return [row.body async for row in rows if row.item_id not in own] + items
