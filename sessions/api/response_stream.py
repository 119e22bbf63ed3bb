"""A response while it comes: all its events for a stream, or the last of them for an answer."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from django.http import StreamingHttpResponse

from sessions import services
from sessions.events.follow import follow
from sessions.events.types import StoredEvent
from sessions.models import ApiResponse, Session
from sessions.responses.resource import outcome_of, shows_results
from sessions.responses.searching import shown_event
from sessions.responses.settle import end, settle, translation_of
from sessions.responses.translate import Translation
from sessions.services.carried import carried

ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
LOOK_EVERY = 10
"""Seconds without an event after which it is asked whether the session is still there."""
KEEP_ALIVE_S = 15.0
"""Clients take silence for a broken connection; a comment is none."""
CONTENT_TYPE = "text/event-stream; charset=utf-8"


async def events_of(response: ApiResponse) -> AsyncGenerator[dict[str, Any] | None, None]:
    """Every event from the first to the last; None each time a second brought none."""
    translation = await translation_of(response)
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


def stream(
    response: ApiResponse,
    *,
    stops: bool,
    starting_after: int | None = None,
    include: Sequence[str] = (),
) -> StreamingHttpResponse:
    frames = _frames(
        response,
        stops=stops,
        starting_after=starting_after,
        with_results=shows_results(response, include),
    )
    answer = StreamingHttpResponse(frames, content_type=CONTENT_TYPE)
    answer["Cache-Control"] = "no-cache"
    answer["X-Accel-Buffering"] = "no"
    return answer


async def _frames(
    response: ApiResponse, *, stops: bool, starting_after: int | None, with_results: bool
) -> AsyncGenerator[bytes, None]:
    seen = -1 if starting_after is None else starting_after
    loop = asyncio.get_running_loop()
    said_at = loop.time()
    async with (
        stopped_with_its_caller(response, is_wanted=stops),
        aclosing(events_of(response)) as events,
    ):
        async for event in events:
            if event is None:
                if loop.time() - said_at >= KEEP_ALIVE_S:
                    said_at = loop.time()
                    yield b": keep-alive\n\n"
                continue
            if event["type"] in ENDS:
                # Also for whoever saw more of it than is left to tell, for its session is gone.
                event["sequence_number"] = max(event["sequence_number"], seen + 1)
            if event["sequence_number"] > seen:
                said_at = loop.time()
                yield _frame(shown_event(event, with_results=with_results))


def _frame(event: dict[str, Any]) -> bytes:
    # JSON leaves no line break unescaped.
    data = json.dumps(event, separators=(",", ":"))
    return f"event: {event['type']}\ndata: {data}\n\n".encode()
