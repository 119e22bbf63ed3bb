"""What is asked while an earlier answer is on its way is asked all at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

Question = TypeVar("Question")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Queue(Generic[Question, Answer]):
    waiting: "list[tuple[Question, asyncio.Future[Answer]]]" = field(default_factory=list)
    asking: asyncio.Task[None] | None = None


class Together(Generic[Question, Answer]):
    """`ask` gets up to `at_most` questions, in their order, and gives an answer or an error for
    each. One call of it at a time in each event loop."""

    def __init__(
        self,
        ask: Callable[[Sequence[Question]], Awaitable[Sequence[Answer | Exception]]],
        *,
        at_most: int,
    ) -> None:
        self._ask = ask
        self._at_most = at_most
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue[Question, Answer]] = (
            WeakKeyDictionary()
        )

    async def __call__(self, question: Question) -> Answer:
        """Whoever is cancelled may have been asked for all the same. Raises: what `ask` gave for
        this question, or raised."""
        loop = asyncio.get_running_loop()
        queue = self._of_loop.setdefault(loop, _Queue())
        answer: asyncio.Future[Answer] = loop.create_future()
        queue.waiting.append((question, answer))
        if queue.asking is None:
            queue.asking = loop.create_task(self._ask_all(queue))
        return await answer

    async def _ask_all(self, queue: _Queue[Question, Answer]) -> None:
        batch: list[tuple[Question, asyncio.Future[Answer]]] = []
        try:
            while queue.waiting:
                batch, queue.waiting = (
                    queue.waiting[: self._at_most],
                    queue.waiting[self._at_most :],
                )
                await self._ask_these([one for one in batch if not one[1].done()])
        except BaseException as error:
            # The loop or the process ends; whoever still waits must not do so for ever.
            for _, answer in [*batch, *queue.waiting]:
                if not answer.done():
                    answer.set_exception(error)
                    answer.exception()  # nobody may be left to hear of it
            queue.waiting = []
            raise
        finally:
            queue.asking = None

    async def _ask_these(self, batch: "list[tuple[Question, asyncio.Future[Answer]]]") -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._ask([question for question, _ in batch]) if batch else ()
        except Exception as error:  # noqa: BLE001  (theirs who asked)
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
