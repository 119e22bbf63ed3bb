"""Events of a response with their numbers, and the items that they make up."""

from collections.abc import Collection
from typing import Any

from sessions.responses.included import shown
from sessions.responses.output_items import Fields


class Emitter:
    """`output` has the items whole; events tell what `include` asks for."""

    def __init__(self, include: Collection[str] = ()) -> None:
        self.output: list[Fields] = []
        self._include = include
        self._number = 0

    def event(self, kind: str, **fields: Any) -> Fields:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return event

    def added(self, item: Fields) -> Fields:
        self.output.append(item)
        index = len(self.output) - 1
        seen = shown(item, self._include)
        return self.event("response.output_item.added", output_index=index, item=seen)

    def done(self, index: int, item: Fields) -> Fields:
        self.output[index] = item
        seen = shown(item, self._include)
        return self.event("response.output_item.done", output_index=index, item=seen)
