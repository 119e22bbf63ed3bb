"""Events of a response with their numbers, and the items that they make up."""

from typing import Any

from sessions.responses.output_items import Fields


class Emitter:
    def __init__(self) -> None:
        self.output: list[Fields] = []
        self._number = 0

    def event(self, kind: str, **fields: Any) -> Fields:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return event

    def added(self, item: Fields) -> Fields:
        self.output.append(item)
        return self.event(
            "response.output_item.added", output_index=len(self.output) - 1, item=item
        )

    def done(self, index: int, item: Fields) -> Fields:
        self.output[index] = item
        return self.event("response.output_item.done", output_index=index, item=item)
