"""The embedded model, driven in Markdown: one fenced block a reply is run, plain words end the turn.

The stream is cut at the end of the first block that can be run, so that the model cannot go on and
invent what the block prints.
"""

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from sessions.errors import ProviderError
from sessions.providers.base import (
    Ability,
    AssistantMessage,
    Delta,
    Finished,
    Item,
    ItemDone,
    ModelOptions,
    ModelRequest,
    Retrying,
    TextDelta,
    ToolCall,
    ToolResultItem,
)
from sessions.providers.block_cut import BlockCut
from sessions.providers.chat_messages import Message
from sessions.providers.endpoint import Endpoint, RetryPolicy
from sessions.providers.local_model import LocalModel
from sessions.providers.markdown import tool_call
from sessions.providers.markdown_messages import fresh_messages, markdown_messages, plain_messages
from sessions.providers.markdown_prompt import BLOCK_WANTED, SHORTER, has_succeeded
from sessions.providers.markdown_python import wants_code, with_blocks, with_code
from sessions.providers.openai_chat import OpenAIChat
from sessions.providers.outstanding import outstanding_files
from sessions.providers.reply_opening import FREE, Opening, opening
from sessions.providers.retry import PassingFailure
from sessions.providers.script import since_user
from sessions.providers.tokenizing import counted

MAX_REPLY_TOKENS = 2048
SAMPLING = {
    "temperature": 0.2,
    "top_p": 0.9,
    "max_tokens": MAX_REPLY_TOKENS,
    "cache_prompt": True,
    "timings_per_token": True,
}
FREER = {**SAMPLING, "temperature": 0.9}
MAX_SAME_CALLS = 2
"""A call made this often in a turn is not made again."""


@dataclass(slots=True)
class LocalProvider:
    local_model: LocalModel
    model: str
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    kind: str = "local"
    is_tool_markdown: bool = True
    takes: frozenset[Ability] = frozenset(("sampling",))

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        """Waits until the model is downloaded and loaded. Raises: ProviderError."""
        is_code = wants_code(request)
        async with aclosing(self._stream(with_blocks(request) if is_code else request)) as deltas:
            async for delta in deltas:
                yield with_code(delta) if is_code else delta

    async def _stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        endpoint = await self.local_model.wait_ready()
        room = self.local_model.config.context_tokens - MAX_REPLY_TOKENS
        if request.purpose == "summary":
            chat = OpenAIChat(
                endpoint, "local", self.retry, extra_body=SAMPLING | _asked(request.options)
            )
            async with aclosing(chat.stream_messages(plain_messages(request, room))) as summed:
                async for delta in summed:
                    yield delta
            return
        messages = markdown_messages(
            request.items, max_tokens=room, asked=request.options.instructions
        )
        async with aclosing(
            self._ask(
                endpoint,
                messages,
                SAMPLING | _asked(request.options),
                request.items,
                opening(request.items),
            )
        ) as deltas:
            whole: list[Delta] = []
            async for delta in deltas:
                if isinstance(delta, ItemDone | Finished):
                    whole.append(delta)
                else:
                    yield delta
        second = _second_ask(whole, messages, request)
        if second is None:
            for delta in whole:
                yield delta
            return
        # Once more, told so and freer in its choice of words; what it said the first time is void.
        reason, messages = second
        freer = FREER | _asked(request.options)
        yield Retrying(1, 0.0, reason)
        async with aclosing(self._ask(endpoint, messages, freer, request.items)) as deltas:
            async for delta in deltas:
                yield delta

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """As the model reads it, cut to what it takes; None while it is not loaded."""
        if self.local_model.status().state != "ready":
            return None
        room = self.local_model.config.context_tokens - MAX_REPLY_TOKENS
        messages = markdown_messages(
            request.items, max_tokens=room, asked=request.options.instructions
        )
        endpoint = await self.local_model.wait_ready()
        try:
            return await counted(endpoint, messages)
        except (ProviderError, PassingFailure):
            return None

    async def _ask(
        self,
        endpoint: Endpoint,
        messages: Sequence[Message],
        sampling: Mapping[str, Any],
        items: Sequence[Item],
        begun: Opening = FREE,
    ) -> AsyncGenerator[Delta, None]:
        """`begun` are the first words of the reply, which the model continues."""
        chat = OpenAIChat(endpoint, "local", self.retry, extra_body={**sampling, **begun.sampling})
        cut = _begin(begun)
        if cut.text:
            yield TextDelta(cut.text)
        deltas = chat.stream_messages(
            [*messages, *begun.messages()], is_enough=lambda: cut.is_complete or cut.has_run_away
        )
        finished = Finished()
        async with aclosing(deltas):
            async for delta in deltas:
                match delta:
                    case TextDelta(text):
                        if piece := cut.feed(text):
                            yield TextDelta(piece)
                    case Retrying():
                        cut = _begin(begun)
                        yield delta
                        if cut.text:
                            yield TextDelta(cut.text)
                    case Finished():
                        finished = delta
        if cut.has_run_away:
            finished = replace(finished, stop_reason="length")
        for ending in _ending(cut, finished, items):
            yield ending


def _asked(options: ModelOptions) -> dict[str, Any]:
    fields: dict[str, Any] = {"temperature": options.temperature, "top_p": options.top_p}
    if options.max_output_tokens is not None:
        fields["max_tokens"] = min(MAX_REPLY_TOKENS, options.max_output_tokens)
    return {name: value for name, value in fields.items() if value is not None}


def _second_ask(
    whole: Sequence[Delta], messages: Sequence[Message], request: ModelRequest
) -> tuple[str, list[Message]] | None:
    """Why the model should be asked a second time, for the person, and what it is asked then."""
    items, asked = request.items, request.options.instructions
    if any(isinstance(d, Finished) and d.stop_reason == "repeated" for d in whole):
        # With its own block before its eyes it would copy it once more.
        return "the model repeated a command that had not worked", fresh_messages(items, asked)
    if any(isinstance(d, Finished) and d.stop_reason == "length" for d in whole):
        return "the model's answer ran away", _with(messages, SHORTER)
    if any(isinstance(d, Finished) and d.stop_reason != "end" for d in whole):
        return None
    last = items[-1] if items else None
    if not isinstance(last, ToolResultItem):
        return None
    if not has_succeeded(last):
        return "the model gave up on a command that had failed", _with(messages, BLOCK_WANTED)
    if missing := outstanding_files(items):
        reason = f"the model stopped before it made {', '.join(missing)}"
        return reason, fresh_messages(items, asked)
    return None


def _with(messages: Sequence[Message], told: str) -> list[Message]:
    *earlier, last = messages
    return [*earlier, {**last, "content": f"{last['content']}\n{told}"}]


def _begin(begun: Opening) -> BlockCut:
    cut = BlockCut()
    cut.feed(begun.text)
    return cut


def _ending(cut: BlockCut, finished: Finished, items: Sequence[Item]) -> list[Delta]:
    piece = cut.finish(was_cut_off=finished.stop_reason == "length")
    deltas: list[Delta] = [TextDelta(piece)] if piece else []
    if cut.text.strip():
        deltas.append(ItemDone(AssistantMessage(cut.text)))
    call = tool_call(cut.block, f"call_{uuid.uuid4().hex[:24]}") if cut.block else None
    if call is None:
        return [*deltas, finished]
    last_result = _repeats(call, items)
    if last_result is None:
        return [*deltas, ItemDone(call), replace(finished, stop_reason="tool_calls")]
    if has_succeeded(last_result):
        note = "The model began to repeat a command that had worked, so the turn ends here."
        return [*deltas, replace(finished, stop_reason="end", note=note)]
    note = (
        "The model repeated a command that had not worked, so the turn was ended. Tell it what to "
        "do differently, or use a bigger model."
    )
    return [*deltas, replace(finished, stop_reason="repeated", note=note)]


def _repeats(call: ToolCall, items: Sequence[Item]) -> ToolResultItem | None:
    """The last result of this very call, when making it once more leads nowhere: it was the
    previous one, or was made twice before in this turn."""
    _, since = since_user(items)
    calls = [item for item in since if isinstance(item, ToolCall)]
    same = [c for c in calls if (c.name, c.arguments) == (call.name, call.arguments)]
    if not same or (same[-1] is not calls[-1] and len(same) < MAX_SAME_CALLS):
        return None
    results = {item.tool_call_id: item for item in since if isinstance(item, ToolResultItem)}
    return results.get(same[-1].tool_call_id)
