"""Calls of the code interpreter: one item each, with the code and what came of it."""

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from sessions.events.types import CallStarted
from sessions.providers.base import ToolCall, ToolResultItem
from sessions.providers.conversation import logs_of
from sessions.providers.tool_arguments import INVALID
from sessions.responses.emitter import Emitter
from sessions.responses.included import CODE_CALL
from sessions.responses.output_items import Fields, Origin

Status: TypeAlias = Literal["in_progress", "interpreting", "completed", "incomplete", "failed"]
_EVENT = "response.code_interpreter_call"


class CodeCalls:
    """`container_id` is where code runs, None where the response has no interpreter."""

    def __init__(self, emit: Emitter, origin: Origin, container_id: str | None) -> None:
        self._emit = emit
        self._origin = origin
        self._container_id = container_id
        self._open: dict[str, int] = {}
        """By tool call: the index of its item."""

    @property
    def are_served(self) -> bool:
        return self._container_id is not None

    def call(self, call: ToolCall) -> Iterator[Fields]:
        index = len(self._emit.output)
        item = self._item(call)
        self._open[call.tool_call_id] = index
        yield self._emit.added(item | {"code": ""})
        self._emit.output[index] = item
        yield self._event("in_progress", index)
        code = item["code"]
        if code:
            yield self._event("delta", index, delta=code)
        yield self._event("done", index, code=code)

    def _item(self, call: ToolCall) -> Fields:
        code = call.arguments.get("code", call.arguments.get(INVALID))
        return {
            "id": self._origin.id_of(CODE_CALL, call.tool_call_id),
            "type": CODE_CALL,
            "status": "in_progress",
            "code": code if isinstance(code, str) else "",
            "container_id": self._container_id,
            "outputs": [],
        }

    def _event(self, name: str, index: int, **fields: Any) -> Fields:
        part = f"{_EVENT}_code" if name in ("delta", "done") else _EVENT
        item_id = self._emit.output[index]["id"]
        return self._emit.event(f"{part}.{name}", item_id=item_id, output_index=index, **fields)

    def started(self, body: CallStarted) -> Iterator[Fields]:
        index = self._open.get(body.tool_call_id)
        if index is not None and self._emit.output[index]["status"] == "in_progress":
            self._emit.output[index] |= {"status": "interpreting"}
            yield self._event("interpreting", index)

    def result(self, result: ToolResultItem) -> Iterator[Fields]:
        index = self._open.pop(result.tool_call_id, None)
        if index is None:
            return
        status = _status(result)
        if status == "completed":
            yield self._event("completed", index)
        made = {"status": status, "outputs": outputs(result)}
        yield self._emit.done(index, self._emit.output[index] | made)

    def leave_open(self) -> None:
        """Nothing more comes of those that have not ended."""
        for index in self._open.values():
            self._emit.output[index] |= {"status": "incomplete"}


def outputs(result: ToolResultItem) -> list[Fields]:
    logs = logs_of(result)
    made: list[Fields] = [{"type": "logs", "logs": logs}] if logs else []
    return made + [{"type": "image", "url": url} for url in result.images]


def _status(result: ToolResultItem) -> Status:
    """Code that raised an error has been run as much as code that did not."""
    kinds = [command.ending.get("kind") for command in result.commands]
    if kinds == ["exit"]:
        return "completed"
    return "incomplete" if kinds == ["stopped"] else "failed"
