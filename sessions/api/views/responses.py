"""`/v1/responses`: a model that works for a program, in a container of ours."""

from collections.abc import Collection
from typing import Any

from django.http import HttpResponseBase, JsonResponse

from sessions import services
from sessions.api import response_stream
from sessions.api.endpoint import Call, operation
from sessions.api.errors import ApiError
from sessions.api.lookups import find_response
from sessions.api.paging import unknown_after
from sessions.api.response_events import ResponseEvent
from sessions.api.response_object import ResponseObject
from sessions.api.response_request import queue
from sessions.api.responses import (
    CreateResponse,
    IdempotencyHeader,
    InputItemsQuery,
    ResponseQuery,
)
from sessions.api.schema import Deleted, NoBody, NoQuery, Unmodelled
from sessions.api.views.conversations import ItemList, ItemObject
from sessions.models import ApiResponse
from sessions.responses.included import all_shown
from sessions.responses.resource import resource
from sessions.responses.settle import settle


def _answer(response: ApiResponse, include: Collection[str] = ()) -> JsonResponse:
    return JsonResponse(resource(response, include))


@operation(
    summary="Ask for a response",
    body=CreateResponse,
    returns=ResponseObject,
    unmodelled=Unmodelled(events=ResponseEvent, headers=IdempotencyHeader),
)
async def response_create(call: Call[CreateResponse, NoQuery]) -> HttpResponseBase:
    """With `stream`, its events as they come. A program that closes the connection before the end
    stops it, unless it is in the background or has an `Idempotency-Key`."""
    response = await queue(call)
    stops = bool(response.holder)
    if call.body.stream:
        return await response_stream.stream(response, stops=stops)
    if response.is_background:
        return _answer(await settle(response))
    return await response_stream.answer(response, stops=stops)


@operation(
    summary="One response",
    query=ResponseQuery,
    returns=ResponseObject,
    unmodelled=Unmodelled(events=ResponseEvent),
)
async def response_get(call: Call[NoBody, ResponseQuery], response_id: str) -> HttpResponseBase:
    """With `stream`, all its events again, or those behind `starting_after`."""
    include = call.query.include or ()
    response = await find_response(call, response_id)
    if call.query.stream:
        after = call.query.starting_after
        return await response_stream.stream(
            response, stops=False, starting_after=after, include=include
        )
    return _answer(await settle(response), include)


@operation(summary="Delete a response", returns=Deleted)
async def response_delete(call: Call[NoBody, NoQuery], response_id: str) -> Deleted:
    """One that has not ended is stopped."""
    response = await find_response(call, response_id)
    await services.response_delete(response=response)
    return Deleted(id=response_id, object="response")


@operation(summary="Stop a response in the background", returns=ResponseObject)
async def response_cancel(call: Call[NoBody, NoQuery], response_id: str) -> HttpResponseBase:
    """Answers once it has stopped; one that has ended is given back as it is."""
    response = await settle(await find_response(call, response_id))
    if not response.is_background:
        raise ApiError(
            400,
            "Only responses in the background can be cancelled; close the connection of others.",
            param="response_id",
        )
    if response.has_ended:
        return _answer(response)
    await services.response_stop(response=response)
    return _answer(await response_stream.whole(response, stops=False))


@operation(summary="What a response was asked", query=InputItemsQuery, returns=ItemList)
async def input_items(call: Call[NoBody, InputItemsQuery], response_id: str) -> ItemList:
    response = await find_response(call, response_id)
    items: list[dict[str, Any]] = all_shown(response.input, call.query.include or ())
    query = call.query
    if query.order == "desc":
        items.reverse()
    if query.after is not None:
        places = [index for index, item in enumerate(items) if item["id"] == query.after]
        if not places:
            raise unknown_after(query.after)
        items = items[places[0] + 1 :]
    page = [ItemObject.model_validate(item) for item in items[: query.limit]]
    return ItemList.of(page, has_more=len(items) > query.limit)
