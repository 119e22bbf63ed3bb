"""From a turn that has ended to a response that has."""

import datetime as dt
import logging
import time
import uuid
from collections.abc import AsyncIterator, Collection, Sequence

from django.db import DatabaseError
from django.db.models import Q
from django.utils import timezone

from sessions import services
from sessions.events import log
from sessions.models import ApiResponse, Turn, TurnStatus
from sessions.responses.output_items import Fields
from sessions.responses.resource import about
from sessions.responses.translate import OUTCOME_TYPES, Outcome, Translation

logger = logging.getLogger(__name__)

PATIENCE = dt.timedelta(seconds=10)
"""Whoever ran a turn settles its response; after this long another does."""


async def translation_of(response: ApiResponse, include: Collection[str] = ()) -> Translation:
    """At its beginning."""
    turn = await Turn.objects.filter(api_response=response).afirst()
    return Translation(about(response, turn.number if turn else 0, include))


async def settle(response: ApiResponse) -> ApiResponse:
    """The row as it stands, ended when its turn has."""
    if response.has_ended:
        return response
    turn = await Turn.objects.filter(api_response=response).afirst()
    if turn is not None and turn.status in (TurnStatus.QUEUED, TurnStatus.RUNNING):
        if turn.status == TurnStatus.RUNNING:
            response.status = ApiResponse.Status.IN_PROGRESS
        return response
    await end(response, await _outcome(response))
    return await ApiResponse.objects.aget(id=response.id)


async def _outcome(response: ApiResponse) -> Outcome:
    """Of one whose turn has ended. A log that cannot be told, whatever a program or a model made it
    hold, ends it as failed: nobody may wait for it for ever."""
    try:
        translation = await translation_of(response)
        async for _ in events_so_far(translation, response, types=OUTCOME_TYPES):
            pass
        list(translation.gone(int(time.time())))
        assert translation.outcome is not None
    except DatabaseError:
        raise
    except Exception:
        logger.exception("response %s cannot be told", response.id)
        error = {"code": "server_error", "message": "What came of it could not be told."}
        return Outcome("failed", [], error=error, completed_at=int(time.time()))
    else:
        return translation.outcome


async def events_so_far(
    translation: Translation, response: ApiResponse, *, types: Sequence[str] | None = None
) -> AsyncIterator[Fields]:
    """From its beginning to the end of its log as it is now."""
    for event in translation.opening():
        yield event
    after, session_id = response.first_seq, response.session_id
    while session_id is not None and (
        batch := await log.read(session_id, after=after, types=types)
    ):
        after = batch[-1].seq
        for stored in batch:
            for event in translation.feed(stored):
                yield event


async def end(response: ApiResponse, outcome: Outcome) -> None:
    fields = {
        "status": outcome.status,
        "error": outcome.error,
        "incomplete_reason": outcome.incomplete_reason,
        "input_tokens": outcome.input_tokens,
        "output_tokens": outcome.output_tokens,
        "completed_at": dt.datetime.fromtimestamp(outcome.completed_at, dt.UTC),
    }
    await services.response_end(response=response, fields=fields, output=outcome.output)


async def settle_turn(turn_id: int) -> None:
    """The response that the turn was for, if it was for one."""
    response = await ApiResponse.objects.filter(turn_id=turn_id).afirst()
    if response is not None:
        await settle(response)


async def settle_left_over() -> None:
    """Those whose turn ended with the process that ran it, or went with its session."""
    ended = Q(turn__status__in=(TurnStatus.ENDED, TurnStatus.REMOVED)) | Q(turn=None)
    rows = ApiResponse.objects.filter(ended, status__in=services.UNFINISHED).order_by("created_at")
    ids: list[uuid.UUID] = [
        row.id async for row in rows.filter(created_at__lt=timezone.now() - PATIENCE)[:100]
    ]
    for response_id in ids:
        await settle(await ApiResponse.objects.aget(id=response_id))
