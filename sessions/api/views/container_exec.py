"""`/v1/containers/{id}/exec`: one command for a program, logged and seen live like any other."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from django.http import HttpResponseBase, JsonResponse

from sessions.api.endpoint import Call, operation
from sessions.api.errors import ApiError, from_berth
from sessions.api.execs import (
    ContainerExec,
    ExecEvent,
    PieceText,
    Printed,
    RunExec,
    exec_resource,
    spec_of,
    stdin_of,
)
from sessions.api.lookups import find_container
from sessions.api.schema import NoQuery, Unmodelled
from sessions.api.sse import KEEP_ALIVE, KEEP_ALIVE_S, begun, event_stream, frame
from sessions.errors import BerthError
from sessions.events.types import Output, OutputDropped
from sessions.models import Session
from sessions.runtime.execs import ExecSpec, RunningExec
from sessions.runtime.wiring import runtime

QUEUED_PIECES = 16
"""Of up to 64 KiB: with so many waiting for their reader the command waits as well."""

Piece = Output | OutputDropped


@operation(
    summary="Run a command in a container",
    body=RunExec,
    returns=ContainerExec,
    unmodelled=Unmodelled(events=ExecEvent, errors=(422,)),
)
async def exec_run(call: Call[RunExec, NoQuery], container_id: str) -> HttpResponseBase:
    """Answers when it has ended, or with `stream` in events. A program that closes the connection
    before that stops it, with all it started."""
    session = await find_container(call, container_id)
    spec = spec_of(session, call.body, stdin=stdin_of(call.body))
    if call.body.stream:
        queue: asyncio.Queue[Piece] = asyncio.Queue(QUEUED_PIECES)
        running = await runtime().execs.start(session, spec, queue.put)
        return event_stream(await begun(_frames(session, call.body, running, queue)))
    printed = Printed(call.body.encoding, call.body.max_output_bytes)
    return JsonResponse((await _whole(session, spec, printed)).to_json())


async def _whole(session: Session, spec: ExecSpec, printed: Printed) -> ContainerExec:
    running = await runtime().execs.start(session, spec, printed.hear)
    try:
        ended = await asyncio.shield(running.ended)
    except asyncio.CancelledError:
        running.stop()  # its end is logged all the same
        raise
    return exec_resource(session, running.call_id, printed=printed, ended=ended)


async def _frames(
    session: Session, body: RunExec, running: RunningExec, queue: "asyncio.Queue[Piece]"
) -> AsyncGenerator[bytes, None]:
    number = 0

    def told(kind: str, **fields: Any) -> bytes:
        nonlocal number
        event = {"type": kind, "sequence_number": number, **fields}
        number += 1
        return frame(event)

    texts = PieceText(body.encoding)
    cut: dict[str, bool] = {}
    try:
        yield told("exec.started", exec=exec_resource(session, running.call_id).to_json())
        async for piece in _pieces(running, queue):
            if piece is None:
                yield KEEP_ALIVE
            elif isinstance(piece, OutputDropped):
                cut[piece.stream] = True
                texts.skip(piece.stream)
                yield told("exec.output.dropped", stream=piece.stream, bytes=piece.length)
            elif delta := texts.of(piece.stream, piece.content):
                yield told("exec.output.delta", stream=piece.stream, delta=delta)
        for stream in ("stdout", "stderr"):
            if delta := texts.of(stream, b"", is_last=True):
                yield told("exec.output.delta", stream=stream, delta=delta)
        try:
            ended = running.ended.result()
        except BerthError as error:
            yield told("error", **error_fields(from_berth(error)))
        else:
            done = exec_resource(session, running.call_id, cut=cut, ended=ended)
            yield told("exec.completed", exec=done.to_json())
    finally:
        running.stop()


async def _pieces(
    running: RunningExec, queue: "asyncio.Queue[Piece]"
) -> AsyncGenerator[Piece | None, None]:
    """All it prints, to its end; None each time nothing came for a while."""
    while not (running.ended.done() and queue.empty()):
        getting = asyncio.create_task(queue.get())
        try:
            await asyncio.wait(
                (getting, running.ended),
                timeout=KEEP_ALIVE_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if getting.done():
                yield getting.result()
            elif not running.ended.done():
                yield None
        finally:
            if not getting.done():
                getting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await getting


def error_fields(error: ApiError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "param": error.param}
