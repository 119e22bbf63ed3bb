"""A response while it comes: all its events for a stream, or the last of them for an answer."""

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase

from sessions import services
from sessions.api.errors import ApiError
from sessions.api.sse import KEEP_ALIVE, KEEP_ALIVE_S, all_of, begun, event_stream, frame
from sessions.downloads.responses import PiecesResponse
from sessions.events.follow import follow
from sessions.events.types import StoredEvent
from sessions.models import ApiResponse, Session
from sessions.responses.resource import outcome_of, resource
from sessions.responses.settle import end, settle, translation_of
from sessions.responses.translate import Translation
from sessions.services.carried import carried

logger = logging.getLogger(__name__)

ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
LOOK_EVERY = 10
"""Seconds without an event after which it is asked whether the session is still there."""
SPACE = b" "
UNTOLD = "What came of the response could not be told; it may still be asked for by its id."


async def events_of(
    response: ApiResponse, include: Collection[str] = ()
) -> AsyncGenerator[dict[str, Any] | None, None]:
    """Every event from the first to the last; None each time a second brought none."""
    translation = await translation_of(response, include)
    for event in translation.opening():
        yield event
    async with aclosing(_batches(response)) as batches:
        async for batch in batches:
            for event in _translated(translation, batch):
                yield event
            if translation.outcome is not None:
                await carried(end(response, translation.outcome))
                return
            if not batch:
                yield None
    # With its session went its log.
    row = await settle(await ApiResponse.objects.aget(id=response.id))
    for event in translation.told(outcome_of(row)):
        yield event


def _translated(translation: Translation, batch: list[StoredEvent]) -> Iterator[dict[str, Any]]:
    for stored in batch:
        yield from translation.feed(stored)


async def _batches(response: ApiResponse) -> AsyncGenerator[list[StoredEvent], None]:
    """Of its session's log, until the session is gone."""
    if response.session_id is None:
        return
    silent = 0
    async with aclosing(follow(response.session_id, after=response.first_seq)) as batches:  # type: ignore[type-var]  # a generator
        async for batch in batches:
            yield batch
            silent = 0 if batch else silent + 1
            if silent and silent % LOOK_EVERY == 0 and not await _is_there(response.session_id):
                return


async def _is_there(session_id: uuid.UUID) -> bool:
    return await Session.objects.filter(id=session_id).aexists()


@asynccontextmanager
async def stopped_with_its_caller(
    response: ApiResponse, *, is_wanted: bool
) -> AsyncIterator[None]:
    """Whoever leaves before the end has no use for the rest."""
    try:
        yield
    except BaseException:
        if is_wanted:
            await asyncio.shield(services.response_stop(response=response))
        raise


async def whole(response: ApiResponse, *, stops: bool) -> ApiResponse:
    """Once it has ended."""
    async with (
        stopped_with_its_caller(response, is_wanted=stops),
        aclosing(events_of(response)) as events,
    ):
        async for _ in events:
            pass
    return await settle(await ApiResponse.objects.aget(id=response.id))


async def answer(response: ApiResponse, *, stops: bool) -> HttpResponseBase:
    """Of a program that waits for the whole of it. Clients give up after minutes without a byte and ask
    again, which would run the commands again: what takes long is an answer that begins with spaces,
    which JSON may. Raises: ApiError that says not to ask again."""
    pieces = _pieces(response, stops=stops)
    try:
        first = await anext(pieces)
    except Exception as error:
        raise _untold(response, error) from error
    if first != SPACE:
        return HttpResponse(first, content_type="application/json")
    return PiecesResponse(all_of(first, pieces), "application/json")


def _untold(response: ApiResponse, error: Exception) -> ApiError:
    """For whoever met an error that nobody foresaw, which is logged here."""
    logger.error("response %s could not be told", response.id, exc_info=error)
    return ApiError(500, UNTOLD, type="server_error", headers={"x-should-retry": "false"})


async def _pieces(response: ApiResponse, *, stops: bool) -> AsyncGenerator[bytes, None]:
    """A space now and then, then the response as it ended."""
    loop = asyncio.get_running_loop()
    said_at = loop.time()
    async with (
        stopped_with_its_caller(response, is_wanted=stops),
        aclosing(events_of(response)) as events,
    ):
        async for _ in events:
            if loop.time() - said_at >= KEEP_ALIVE_S:
                said_at = loop.time()
                yield SPACE
    row = await settle(await ApiResponse.objects.aget(id=response.id))
    yield json.dumps(resource(row)).encode()


async def stream(
    response: ApiResponse,
    *,
    stops: bool,
    starting_after: int | None = None,
    include: Collection[str] = (),
) -> HttpResponseBase:
    """Raises: ApiError that says not to ask again."""
    frames = _told_to_the_end(
        response, _frames(response, include, stops=stops, starting_after=starting_after)
    )
    return event_stream(await begun(frames) if stops else frames)


async def _told_to_the_end(
    response: ApiResponse, numbered: AsyncGenerator[tuple[int, bytes], None]
) -> AsyncGenerator[bytes, None]:
    """A stream that breaks off would be taken for a connection that was lost. Raises, from the
    iterator, before the first of them: ApiError."""
    last = None
    try:
        async with aclosing(numbered) as frames:
            async for number, data in frames:
                last = number
                yield data
    except Exception as error:
        untold = _untold(response, error)
        if last is None:
            raise untold from error
        yield frame(
            {
                "type": "error",
                "sequence_number": last + 1,
                "code": "server_error",
                "message": UNTOLD,
                "param": None,
            }
        )


async def _frames(
    response: ApiResponse,
    include: Collection[str],
    *,
    stops: bool,
    starting_after: int | None,
) -> AsyncGenerator[tuple[int, bytes], None]:
    """Each with the number of the last event that was told by then."""
    seen = -1 if starting_after is None else starting_after
    loop = asyncio.get_running_loop()
    said_at = loop.time()
    async with (
        stopped_with_its_caller(response, is_wanted=stops),
        aclosing(events_of(response, include)) as events,
    ):
        async for event in events:
            if event is None:
                if loop.time() - said_at >= KEEP_ALIVE_S:
                    said_at = loop.time()
                    yield seen, KEEP_ALIVE
                continue
            if event["type"] in ENDS:
                # Also for whoever saw more of it than is left to tell, for its session is gone.
                event["sequence_number"] = max(event["sequence_number"], seen + 1)
            if event["sequence_number"] > seen:
                said_at = loop.time()
                seen = event["sequence_number"]
                yield seen, frame(event)
