"""What a response goes on from."""

import uuid
from typing import Any

from django.db.models import QuerySet, Sum, TextField
from django.db.models.functions import Cast, Coalesce, Length

from sessions.errors import InvalidInputError
from sessions.models import ApiResponse, Conversation, ConversationItem
from sessions.responses.model_items import COMPACTION
from sessions.responses.settle import settle

MAX_CHAIN = 1_000
"""Responses, one on the other."""
MAX_CHARS = 64 * 1024 * 1024
"""Of the items that a response goes on from, as JSON: they are in memory at once, as long as a body
may be."""


class ContextTooLongError(InvalidInputError):
    """More than is read to go on from it; compacted it would be short."""

    code = "context_length_exceeded"


async def items_before(
    previous: ApiResponse | None, conversation: Conversation | None
) -> list[dict[str, Any]]:
    """What is there before a response's own input, the first first; of a chain with a compaction what
    goes on from the newest one. Raises: ContextTooLongError."""
    if conversation is not None:
        rows = await _of_conversation(conversation.id)
        await _check(rows, MAX_CHARS, "conversation")
        return [row.body async for row in rows]
    return [] if previous is None else await _up_to(previous)


async def _of_conversation(conversation_id: uuid.UUID) -> QuerySet[ConversationItem]:
    """Its items from the newest compaction on: what is before that is in it."""
    rows = ConversationItem.objects.filter(conversation_id=conversation_id).order_by("position")
    newest = await rows.filter(body__type=COMPACTION).alast()
    return rows if newest is None else rows.filter(position__gte=newest.position)


async def _up_to(last: ApiResponse) -> list[dict[str, Any]]:
    """Items of the chain that ends with `last`, and of the conversation that it was part of."""
    chain: list[ApiResponse] = []
    key: uuid.UUID | None = last.id
    room = MAX_CHARS
    while key is not None:
        if len(chain) == MAX_CHAIN:
            raise _too_long("previous_response_id")
        # Its size is asked for before it is read.
        room -= await _chars(ApiResponse.objects.filter(id=key), "input", "output")
        if room < 0:
            raise _too_long("previous_response_id")
        response = await ApiResponse.objects.filter(id=key).afirst()
        if response is None:
            break
        chain.append(await settle(response))
        key = None if _is_compacted(chain[-1]) else response.previous_id
    items: list[dict[str, Any]] = []
    for one in reversed(chain):
        items += [*one.input, *(one.output or ())]
    before = chain[-1].conversation_id
    if before is None or _is_compacted(chain[-1]):
        return items
    rows = await _of_conversation(before)
    await _check(rows, room, "previous_response_id")
    own = {item["id"] for item in items}
    return [row.body async for row in rows if row.item_id not in own] + items


def _is_compacted(response: ApiResponse) -> bool:
    items = [*response.input, *(response.output or ())]
    return any(item["type"] == COMPACTION for item in items)


async def _check(rows: QuerySet[ConversationItem], room: int, param: str) -> None:
    """Raises: ContextTooLongError."""
    if await _chars(rows, "body") > room:
        raise _too_long(param)


async def _chars(rows: QuerySet[Any], *columns: str) -> int:
    """How long the JSON of the columns is, told by the database."""
    lengths = [Coalesce(Sum(Length(Cast(name, TextField()))), 0) for name in columns]
    found = await rows.order_by().aaggregate(
        **{f"{name}_chars": length for name, length in zip(columns, lengths, strict=True)}
    )
    return sum(found.values())


def _too_long(param: str) -> ContextTooLongError:
    return ContextTooLongError(
        f"What it goes on from is longer than {MAX_CHARS >> 20} Mi characters or {MAX_CHAIN} "
        "responses. Compact it.",
        param=param,
    )
