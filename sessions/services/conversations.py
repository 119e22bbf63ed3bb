"""Conversations: items in their order, kept until they are deleted."""

from collections.abc import Mapping, Sequence
from typing import Any

from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max

from sessions.errors import InvalidInputError
from sessions.models import Conversation, ConversationItem

Body = Mapping[str, Any]
"""An item as it is kept; its `id` is unique in its conversation."""


@database_sync_to_async
def conversation_create(
    *, owner: User, metadata: Mapping[str, str], items: Sequence[Body] = ()
) -> Conversation:
    """Raises: InvalidInputError for an item twice."""
    with transaction.atomic():
        conversation = Conversation.objects.create(owner=owner, metadata=dict(metadata))
        conversation_items_add_now(conversation, items)
    return conversation


def conversation_items_add_now(
    conversation: Conversation, items: Sequence[Body]
) -> list[ConversationItem]:
    """Append `items`, all of them or none. Raises: InvalidInputError for an item twice."""
    ids = [str(item["id"]) for item in items]
    with transaction.atomic():
        Conversation.objects.select_for_update().get(id=conversation.id)
        rows = ConversationItem.objects.filter(conversation=conversation)
        taken = set(rows.filter(item_id__in=ids).values_list("item_id", flat=True))
        for index, one in enumerate(ids):
            if one in taken:
                raise InvalidInputError(
                    f"The conversation has an item with the id '{one}' already.",
                    param=f"items[{index}].id",
                )
            taken.add(one)
        last = rows.aggregate(last=Max("position"))["last"] or 0
        return ConversationItem.objects.bulk_create(
            ConversationItem(
                conversation=conversation, position=last + number, item_id=one, body=dict(item)
            )
            for number, (one, item) in enumerate(zip(ids, items, strict=True), start=1)
        )


conversation_items_add = database_sync_to_async(conversation_items_add_now)


async def conversation_update(
    *, conversation: Conversation, metadata: Mapping[str, str]
) -> Conversation:
    conversation.metadata = dict(metadata)
    await conversation.asave(update_fields=["metadata"])
    return conversation


async def conversation_delete(*, conversation: Conversation) -> None:
    await Conversation.objects.filter(id=conversation.id).adelete()


async def conversation_item_delete(*, item: ConversationItem) -> None:
    await ConversationItem.objects.filter(pk=item.pk).adelete()
