"""A call of a program to the model, worked on while the program waits: told to the log as it comes."""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from django.db import DatabaseError

from sessions import services
from sessions.agent.reply import Listener
from sessions.errors import LeaseLostError, NotFoundError, ProviderError
from sessions.events.types import ProgramCall, StepEnded, StepStarted, TurnEndReason
from sessions.models import ChatCompletion
from sessions.providers.base import Delta, Finished, ItemDone, ToolCall, item_to_json
from sessions.providers.chat_answer import ChatRefusalError, Piece
from sessions.providers.chat_render import refusal_of
from sessions.providers.tool_arguments import arguments_text
from sessions.runtime.recorder import SessionRecorder
from sessions.services import ChatEnd
from sessions.services.carried import carried
from sessions.services.chat_prefix import Message

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
MAX_CALL_S = 3600.0
"""The longest that a call may take, its reader included."""
MAX_ARGUMENTS = 20_000
"""Characters of a call's arguments that a person who watches is shown."""
GONE = ChatEnd("stopped", message="The program closed the connection.")


class ChatTurn:
    """What goes into the log of the call's session. `end` once, whatever happened."""

    def __init__(self, chat: ChatCompletion, lease: str) -> None:
        assert chat.session is not None
        assert chat.turn is not None
        self._chat = chat
        self._lease = lease
        self._turn = chat.turn.number
        self._recorder = SessionRecorder(chat.session, lease)
        self._listener = Listener(self._recorder, self._turn, 1, set())
        self._is_told = False

    async def begin(self) -> None:
        await self._recorder.record(StepStarted(self._turn, 1))

    async def take(self, deltas: Sequence[Delta]) -> None:
        """Waits while much is not stored yet."""
        for delta in deltas:
            await self._listener.take(delta)
            if isinstance(delta, ItemDone) and isinstance(delta.item, ToolCall):
                call = delta.item
                arguments = arguments_text(call.arguments)
                if len(arguments) > MAX_ARGUMENTS:
                    arguments = f"{arguments[:MAX_ARGUMENTS]} …"
                await self._recorder.record(
                    ProgramCall(self._turn, call.tool_call_id, call.name, arguments)
                )

    async def end(self, end: ChatEnd, messages: Sequence[Message]) -> None:
        """Again, with how it ended then, when it could not be stored."""
        used = self._listener.finished or Finished()
        end = dataclasses.replace(
            end, input_tokens=used.input_tokens, output_tokens=used.output_tokens
        )
        try:
            await self._tell_step(used)
            await services.chat_end(chat=self._chat, lease=self._lease, end=end, messages=messages)
        except (LeaseLostError, NotFoundError):
            logger.info("session %s: its call has ended elsewhere", self._chat.session_id)

    async def _tell_step(self, used: Finished) -> None:
        """Once: a recorder that was closed stores nothing more."""
        if self._is_told:
            return
        self._is_told = True
        await self._recorder.record(
            StepEnded(
                turn=self._turn,
                step=1,
                items=[item_to_json(item) for item in self._listener.items],
                input_tokens=used.input_tokens,
                output_tokens=used.output_tokens,
            )
        )
        await self._recorder.aclose()


class ChatRun:
    """One call from its first byte to its end. Its source works in a task of its own, at most one
    piece ahead of the reader: a program that does not read holds the endpoint up, not memory."""

    def __init__(
        self,
        chat: ChatCompletion,
        lease: str,
        source: AsyncGenerator[Piece, None],
        messages: Sequence[Message],
    ) -> None:
        self._chat = chat
        self._lease = lease
        self._source = source
        self._messages = messages
        self._pieces: asyncio.Queue[Piece | Exception | None] = asyncio.Queue(1)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """What the program is sent. Closing this ends the call. Raises, from the iterator:
        ChatRefusalError."""
        turn = ChatTurn(self._chat, self._lease)
        end: ChatEnd | None = GONE
        tasks = [asyncio.create_task(work) for work in (self._work(), self._watch())]
        try:
            await turn.begin()
            while (piece := await self._next()) is not None:
                await turn.take(piece.deltas)
                if piece.answer is not None:
                    # Before the program knows: its next call goes on in the same session.
                    done, end = ChatEnd("completed", piece.answer), None
                    await carried(turn.end(done, self._messages))
                if piece.data:
                    yield piece.data
        except ChatRefusalError as error:
            reason: TurnEndReason = (
                "stopped" if isinstance(error, StoppedByPersonError) else "failed"
            )
            end = ChatEnd(reason, error=error.to_json(), message=error.message, hint=error.hint)
            raise
        except Exception:
            end = ChatEnd("failed", message="Something in Berth itself went wrong.")
            raise
        finally:
            await carried(self._finish(tasks, turn, end))

    async def _finish(
        self, tasks: Sequence[asyncio.Task[None]], turn: ChatTurn, end: ChatEnd | None
    ) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if end is not None:
            await turn.end(end, self._messages)

    async def _next(self) -> Piece | None:
        piece = await self._pieces.get()
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def _work(self) -> None:
        try:
            async with aclosing(self._source) as source:
                async for piece in source:
                    await self._pieces.put(piece)
            await self._pieces.put(None)
        except ProviderError as error:
            await self._pieces.put(refusal_of(error))
        except Exception as error:  # noqa: BLE001 - raised by whoever reads the pieces
            await self._pieces.put(error)

    async def _watch(self) -> None:
        """Until a person stops it, its session is deleted or its time is up."""
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        while loop.time() - began_at < MAX_CALL_S:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                is_asked_to_stop = await services.chat_renew(chat=self._chat, lease=self._lease)
            except DatabaseError:
                logger.exception("session %s could not be looked up", self._chat.session_id)
                continue
            if is_asked_to_stop:
                self._break_off(StoppedByPersonError())
                return
        self._break_off(ChatRefusalError(504, "The call took too long."))

    def _break_off(self, error: ChatRefusalError) -> None:
        """What waits to be read is not read any more."""
        while not self._pieces.empty():
            self._pieces.get_nowait()
        self._pieces.put_nowait(error)


class StoppedByPersonError(ChatRefusalError):
    def __init__(self) -> None:
        # The client would ask again by itself.
        headers = {"x-should-retry": "false"}
        super().__init__(409, "A person stopped this call.", code="stopped", headers=headers)
