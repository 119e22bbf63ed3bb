"""See to it that a turn's requests fit: compact the conversation, or drop its oldest part."""

import dataclasses
import logging
from collections.abc import Sequence

from sessions.agent.compaction import Compacting, compact, without_oldest
from sessions.agent.reply import Reply
from sessions.agent.skills import is_skills_message
from sessions.agent.tools.base import ToolContext
from sessions.errors import ContextOverflowError, InvalidInputError, ProviderError
from sessions.events.types import ContextCompacted, Notice
from sessions.providers.base import Compacted, Item, ModelRequest, Provider
from sessions.providers.counting import estimated_tokens, items_tokens

logger = logging.getLogger(__name__)


class Room:
    """Of one turn's requests."""

    def __init__(
        self,
        provider: Provider,
        context: ToolContext,
        turn: int,
        compacting: Compacting | None,
        *,
        truncation: str | None,
    ) -> None:
        self._provider = provider
        self._context = context
        self._turn = turn
        self._compacting = compacting
        self._truncates = truncation == "auto"
        self._told: tuple[int, int] | None = None
        """How many items the endpoint counted last, and as how many tokens."""
        self._has_failed = False
        self._taken = 0

    def answered(self, items: Sequence[Item], reply: Reply) -> None:
        self._told = (len(items), reply.tokens) if reply.tokens else None

    def taken_tokens(self) -> int:
        """What summaries took since this was asked last."""
        taken, self._taken = self._taken, 0
        return taken

    def _tokens(self, request: ModelRequest) -> int:
        if self._told is None:
            return estimated_tokens(request)
        count, tokens = self._told
        return tokens + items_tokens(request.items[count:])

    async def made(self, request: ModelRequest) -> ModelRequest:
        """The request, compacted when it is over the threshold. A model that cannot sum up is told
        of to the person, and the turn goes on with the whole conversation."""
        threshold = self._compacting.threshold if self._compacting else None
        if threshold is None or self._has_failed or _is_fresh(request):
            return request
        if self._tokens(request) < threshold:
            return request
        try:
            return await self.compacted(request)
        except (ProviderError, InvalidInputError) as error:
            self._has_failed = True
            text = f"The conversation could not be compacted: {error.message}"
            await self._context.recorder.record(Notice("warning", text, "compaction_failed"))
            return request

    async def made_after(self, request: ModelRequest, error: ContextOverflowError) -> ModelRequest:
        """Of one that the endpoint found too long. Raises: that error, when nothing is to be done;
        ProviderError."""
        if self._compacting is not None and not _is_fresh(request):
            try:
                return await self.compacted(request)
            except InvalidInputError:
                raise error from None
        told = [item for item in request.items if is_skills_message(item)]
        others = [item for item in request.items if not is_skills_message(item)]
        shorter = without_oldest(others) if self._truncates else None
        if shorter is None:
            raise error
        self._told = None
        left_out = len(others) - len(shorter)
        shorter = [*told, *shorter]
        text = f"The conversation is too long for the model: {left_out} old items were left out."
        await self._context.recorder.record(Notice("warning", text, "truncated"))
        return dataclasses.replace(request, items=shorter)

    async def compacted(self, request: ModelRequest) -> ModelRequest:
        """Raises: ProviderError; InvalidInputError for what is too long to be sealed; the TurnEnd
        of a Stop."""
        assert self._compacting is not None
        before = self._tokens(request)
        # Told anew, as it is then, whenever the conversation is put together.
        told = [item for item in request.items if is_skills_message(item)]
        made = await self._context.stop.cutting(
            compact(
                self._provider,
                [item for item in request.items if not is_skills_message(item)],
                threshold=self._compacting.threshold,
                is_all=self._compacting.is_all,
            )
        )
        shorter = dataclasses.replace(request, items=[*told, *made.items])
        self._told = None
        self._taken += made.input_tokens + made.output_tokens
        await self._context.recorder.record(
            ContextCompacted(
                turn=self._turn,
                content=self._compacting.seal(made.items),
                tokens_before=before,
                tokens_after=estimated_tokens(shorter),
                input_tokens=made.input_tokens,
                output_tokens=made.output_tokens,
            )
        )
        return shorter


def _is_fresh(request: ModelRequest) -> bool:
    """Whether nothing came since the last summary that another could shorten."""
    for item in reversed(request.items):
        if isinstance(item, Compacted):
            return True
        if item.type != "user_message":
            return False
    return True
