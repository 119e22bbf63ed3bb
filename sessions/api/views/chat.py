"""`/v1/chat/completions`: the model itself, for programs that run their tools themselves."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from django.db.models import QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from sessions import selectors, services
from sessions.api.chat import (
    ChatCompletionChunk,
    ChatCompletionObject,
    ChatListQuery,
    ChatMessagesQuery,
    CreateChatCompletion,
    UpdateChatCompletion,
)
from sessions.api.chat_request import ChatCall, start
from sessions.api.endpoint import Call, operation
from sessions.api.errors import ApiError, not_found
from sessions.api.paging import page_of_rows, unknown_after
from sessions.api.schema import Deleted, Identified, ListPage, NoBody, NoQuery, Unmodelled
from sessions.api.sse import event_stream
from sessions.errors import NotFoundError
from sessions.models import ChatCompletion
from sessions.providers.chat_answer import ChatRefusalError, frame
from sessions.responses.resource import live_url
from sessions.services.chat_prefix import text_of

LIVE_URL = "x-berth-live-url"


class ChatList(ListPage[ChatCompletionObject]):
    pass


class StoredMessage(Identified):
    model_config = {"extra": "allow"}

    role: str


class StoredMessages(ListPage[StoredMessage]):
    pass


class ChatDeleted(Deleted):
    object: Literal["chat.completion.deleted"] = "chat.completion.deleted"


@operation(
    summary="Ask the model for a chat completion",
    body=CreateChatCompletion,
    returns=ChatCompletionObject,
    unmodelled=Unmodelled(events=ChatCompletionChunk, errors=("4XX",)),
)
async def chat_create(call: ChatCall) -> HttpResponseBase:
    """A program that closes the connection before the end ends the request to the model as well."""
    started = await start(call)
    assert started.chat.session_id is not None
    pieces = started.run.pieces()
    try:
        first = await anext(pieces)
    except ChatRefusalError as error:
        raise _api_error(error) from error
    answer: HttpResponseBase
    if call.body.stream:
        answer = event_stream(_frames(first, pieces))
    else:
        await pieces.aclose()
        answer = HttpResponse(first, content_type="application/json")
    answer[LIVE_URL] = live_url(started.chat.session_id)
    return answer


async def _frames(
    first: bytes, pieces: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(pieces):
        try:
            yield first
            async for data in pieces:
                yield data
        except ChatRefusalError as error:
            yield frame({"error": error.to_json()})


def _api_error(error: ChatRefusalError) -> ApiError:
    return ApiError(
        error.status,
        error.message,
        type=error.type,
        param=error.param,
        code=error.code,
        headers=error.headers,
    )


# Those that were to be stored


async def _find(call: Call[Any, Any], name: str) -> ChatCompletion:
    """Raises: ApiError."""
    try:
        return await selectors.chat_get(owner=call.user, name=name)
    except NotFoundError:
        raise not_found(f"Chat completion with id '{name}' not found.") from None


def _resource(chat: ChatCompletion) -> ChatCompletionObject:
    return ChatCompletionObject.model_validate({**(chat.answer or {}), "metadata": chat.metadata})


@operation(summary="List stored chat completions", query=ChatListQuery, returns=ChatList)
async def chat_list(call: Call[NoBody, ChatListQuery]) -> ChatList:
    """The oldest first. Only those with `store: true` are there."""
    query = call.query
    rows = selectors.chat_rows(owner=call.user)
    if query.model is not None:
        rows = rows.filter(model=query.model)
    rows = _with_metadata(rows, call.http)
    after = None
    if query.after is not None:
        seen = await rows.filter(name=query.after).order_by("-created_at").afirst()
        after = seen.pk if seen is not None else None
    page, has_more = await page_of_rows(rows, query, after)
    return ChatList.of([_resource(chat) for chat in page], has_more=has_more)


def _with_metadata(rows: QuerySet[ChatCompletion], http: HttpRequest) -> QuerySet[ChatCompletion]:
    """`metadata[name]=value` asks for those that have it. Raises: ApiError."""
    for index, (param, value) in enumerate(http.GET.items()):
        if not param.startswith("metadata[") or not param.endswith("]"):
            continue
        name = param[len("metadata[") : -1]
        if name.lstrip("-").isdigit():
            # A number in a path of JSON is a place in a list.
            raise ApiError(400, "Keys that are numbers cannot be asked for.", param=param)
        alias: Any = {f"pair_{index}": Cast(KeyTextTransform(name, "metadata"), TextField())}
        rows = rows.alias(**alias).filter(**{f"pair_{index}": value})
    return rows


@operation(summary="One stored chat completion", returns=ChatCompletionObject)
async def chat_get(call: Call[NoBody, NoQuery], completion_id: str) -> ChatCompletionObject:
    return _resource(await _find(call, completion_id))


@operation(
    summary="Change the metadata of a stored chat completion",
    body=UpdateChatCompletion,
    returns=ChatCompletionObject,
)
async def chat_update(
    call: Call[UpdateChatCompletion, NoQuery], completion_id: str
) -> ChatCompletionObject:
    chat = await _find(call, completion_id)
    chat.metadata = call.body.metadata or {}
    await services.chat_update(chat=chat, metadata=chat.metadata)
    return _resource(chat)


@operation(summary="Delete a stored chat completion", returns=ChatDeleted)
async def chat_delete(call: Call[NoBody, NoQuery], completion_id: str) -> ChatDeleted:
    """What was said stays in the log of the session."""
    await services.chat_delete(chat=await _find(call, completion_id))
    return ChatDeleted(id=completion_id)


@operation(
    summary="What a stored chat completion was asked",
    query=ChatMessagesQuery,
    returns=StoredMessages,
)
async def chat_messages(
    call: Call[NoBody, ChatMessagesQuery], completion_id: str
) -> StoredMessages:
    chat = await _find(call, completion_id)
    query = call.query
    messages = [
        _message(f"{completion_id}-{index}", message)
        for index, message in enumerate(chat.request["messages"])
    ]
    if query.order == "desc":
        messages.reverse()
    if query.after is not None:
        places = [i for i, message in enumerate(messages) if message.id == query.after]
        if not places:
            raise unknown_after(query.after)
        messages = messages[places[0] + 1 :]
    page = messages[: query.limit]
    return StoredMessages.of(page, has_more=len(messages) > query.limit)


def _message(name: str, message: dict[str, Any]) -> StoredMessage:
    content = message.get("content")
    parts = content if isinstance(content, list) else None
    fields = {**message, "content": text_of(content) if content is not None else None}
    return StoredMessage.model_validate({**fields, "id": name, "content_parts": parts})
