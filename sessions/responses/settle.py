"""From a turn that has ended to a response that has."""

import datetime as dt
import logging
import time
import uuid

from django.db.models import Q
from django.utils import timezone

from sessions import services
from sessions.events import log
from sessions.models import ApiResponse, Turn, TurnStatus
from sessions.responses.resource import about
from sessions.responses.translate import OUTCOME_TYPES, Outcome, Translation

logger = logging.getLogger(__name__)

PATIENCE = dt.timedelta(seconds=10)
"""Whoever ran a turn settles its response; after this long another does."""


async def translation_of(response: ApiResponse) -> Translation:
    """At its beginning."""
    turn = await Turn.objects.filter(api_response=response).afirst()
    return Translation(about(response, turn.number if turn else 0))


async def settle(response: ApiResponse) -> ApiResponse:
    """The row as it stands, ended when its turn has."""
    if response.has_ended:
        return response
    turn = await Turn.objects.filter(api_response=response).afirst()
    if turn is not None and turn.status in (TurnStatus.QUEUED, TurnStatus.RUNNING):
        if turn.status == TurnStatus.RUNNING:
            response.status = ApiResponse.Status.IN_PROGRESS
        return response
    translation = await _read(response)
    if translation.outcome is None:
        list(translation.gone(int(time.time())))
    assert translation.outcome is not None
    await end(response, translation.outcome)
    return await ApiResponse.objects.aget(id=response.id)


async def _read(response: ApiResponse) -> Translation:
    """To the end of its log."""
    translation = await translation_of(response)
    list(translation.opening())
    after, session_id = response.first_seq, response.session_id
    while session_id is not None and (
        batch := await log.read(session_id, after=after, types=OUTCOME_TYPES)
    ):
        after = batch[-1].seq
        for event in batch:
            for _ in translation.feed(event):
                pass
    return translation


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
        response = await ApiResponse.objects.aget(id=response_id)
        try:
            await settle(response)
        except Exception:
            # One that cannot be told must not keep the others, nor its program, waiting.
            logger.exception("response %s cannot be told", response_id)
            error = {"code": "server_error", "message": "What came of it could not be told."}
            await end(response, Outcome("failed", [], error=error, completed_at=int(time.time())))
