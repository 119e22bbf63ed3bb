"""`/v1/conversations`: items to go on from, without sending them each time."""

from typing import Any, Literal

from pydantic import Field

from sessions import services
from sessions.api.endpoint import Call, operation
from sessions.api.errors import not_found
from sessions.api.include import check_include
from sessions.api.items import Item, ItemReference, item_resource
from sessions.api.lookups import find_conversation
from sessions.api.metadata import Metadata
from sessions.api.paging import unknown_after
from sessions.api.schema import (
    Deleted,
    Identified,
    ListPage,
    NoBody,
    NoQuery,
    PageQuery,
    RequestPart,
    Resource,
)
from sessions.models import Conversation, ConversationItem
from sessions.responses.ids import CONVERSATION, format_id
from sessions.responses.searching import RESULTS, shown_item

MAX_ITEMS = 20
"""At a time."""


class ConversationObject(Resource):
    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int
    metadata: dict[str, str]


class ItemObject(Identified):
    """An item of any kind."""

    model_config = {"extra": "allow"}

    id: str
    type: str


class ItemList(ListPage[ItemObject]):
    pass


class CreateConversation(RequestPart):
    metadata: Metadata | None = None
    items: list[Item] | None = Field(None, max_length=MAX_ITEMS)


class UpdateConversation(RequestPart):
    metadata: Metadata | None


class CreateItems(RequestPart):
    items: list[Item] = Field(max_length=MAX_ITEMS)


def _resource(conversation: Conversation) -> ConversationObject:
    return ConversationObject(
        id=format_id(CONVERSATION, conversation.id),
        created_at=int(conversation.created_at.timestamp()),
        metadata=conversation.metadata,
    )


def _bodies(items: list[Any] | None) -> list[dict[str, Any]]:
    """Raises: ApiError for references, which name nothing here."""
    for index, item in enumerate(items or ()):
        if isinstance(item, ItemReference):
            raise not_found(f"Item with id '{item.id}' not found.", param=f"items[{index}].id")
    return [item_resource(item) for item in items or ()]


@operation(summary="Begin a conversation", body=CreateConversation, returns=ConversationObject)
async def conversation_create(call: Call[CreateConversation, NoQuery]) -> ConversationObject:
    conversation = await services.conversation_create(
        owner=call.user, metadata=call.body.metadata or {}, items=_bodies(call.body.items)
    )
    return _resource(conversation)


@operation(summary="One conversation", returns=ConversationObject)
async def conversation_get(
    call: Call[NoBody, NoQuery], conversation_id: str
) -> ConversationObject:
    return _resource(await find_conversation(call, conversation_id))


@operation(summary="Change a conversation", body=UpdateConversation, returns=ConversationObject)
async def conversation_update(
    call: Call[UpdateConversation, NoQuery], conversation_id: str
) -> ConversationObject:
    conversation = await find_conversation(call, conversation_id)
    changed = await services.conversation_update(
        conversation=conversation, metadata=call.body.metadata or {}
    )
    return _resource(changed)


@operation(summary="Delete a conversation and its items", returns=Deleted)
async def conversation_delete(call: Call[NoBody, NoQuery], conversation_id: str) -> Deleted:
    conversation = await find_conversation(call, conversation_id)
    await services.conversation_delete(conversation=conversation)
    return Deleted(id=conversation_id, object="conversation.deleted")


def _item(row: ConversationItem, include: list[str]) -> ItemObject:
    shown = shown_item(row.body, with_results=RESULTS in include)
    return ItemObject.model_validate(shown)


def _list(rows: list[ConversationItem], include: list[str], *, has_more: bool) -> ItemList:
    data = [_item(row, include) for row in rows]
    return ItemList.of(data, has_more=has_more)


@operation(summary="Add items", body=CreateItems, returns=ItemList)
async def items_create(call: Call[CreateItems, NoQuery], conversation_id: str) -> ItemList:
    include = check_include(call.http)
    conversation = await find_conversation(call, conversation_id)
    rows = await services.conversation_items_add(conversation, _bodies(call.body.items))
    return _list(rows, include, has_more=False)


@operation(summary="List the items", query=PageQuery, returns=ItemList)
async def items_list(call: Call[NoBody, PageQuery], conversation_id: str) -> ItemList:
    include = check_include(call.http)
    conversation = await find_conversation(call, conversation_id)
    rows = ConversationItem.objects.filter(conversation=conversation)
    query = call.query
    if query.after is not None:
        seen = await rows.filter(item_id=query.after).afirst()
        if seen is None:
            raise unknown_after(query.after)
        behind = "position__lt" if query.order == "desc" else "position__gt"
        rows = rows.filter(**{behind: seen.position})
    order = "-position" if query.order == "desc" else "position"
    page = [row async for row in rows.order_by(order)[: query.limit + 1]]
    return _list(page[: query.limit], include, has_more=len(page) > query.limit)


async def _find_item(call: Call[Any, Any], conversation_id: str, item_id: str) -> ConversationItem:
    """Raises: ApiError."""
    conversation = await find_conversation(call, conversation_id)
    rows = ConversationItem.objects.filter(conversation=conversation, item_id=item_id)
    found = await rows.afirst()
    if found is None:
        raise not_found(f"Item with id '{item_id}' not found in '{conversation_id}'.")
    return found


@operation(summary="One item", returns=ItemObject)
async def item_get(call: Call[NoBody, NoQuery], conversation_id: str, item_id: str) -> ItemObject:
    include = check_include(call.http)
    item = await _find_item(call, conversation_id, item_id)
    return _item(item, include)


@operation(summary="Delete an item", returns=ConversationObject)
async def item_delete(
    call: Call[NoBody, NoQuery], conversation_id: str, item_id: str
) -> ConversationObject:
    """Answers with the conversation."""
    item = await _find_item(call, conversation_id, item_id)
    await services.conversation_item_delete(item=item)
    return _resource(await find_conversation(call, conversation_id))
