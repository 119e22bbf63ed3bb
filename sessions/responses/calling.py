"""Calls of tools, and what the commands of ours print."""

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sessions.events.types import CallStarted
from sessions.providers.base import PYTHON, ToolCall, ToolResultItem, item_from_json
from sessions.providers.patches import APPLY_PATCH, operation_of
from sessions.responses import output_items
from sessions.responses.code_calls import CodeCalls
from sessions.responses.emitter import Emitter
from sessions.responses.output_items import Fields, Origin
from sessions.responses.searching import FILE_SEARCH, Searching

SHELL_TOOLS = frozenset({"shell", output_items.RUN_FILE})


@dataclass(slots=True)
class _Run:
    """A call of ours; `index` of its output once that began."""

    call: ToolCall
    index: int = -1
    decoders: dict[tuple[str, str], codecs.IncrementalDecoder] = field(default_factory=dict)


class Calling:
    """`callers_tools` are names and kinds of those that the caller runs; `container_id` is where
    commands run, `code_container_id` where code does."""

    def __init__(
        self,
        emit: Emitter,
        origin: Origin,
        callers_tools: Mapping[str, str],
        container_id: str | None,
        code_container_id: str | None = None,
        *,
        namespaces: Mapping[str, tuple[str, str]],
        searching: Searching | None = None,
    ) -> None:
        self._emit = emit
        self._code = CodeCalls(emit, origin, code_container_id)
        self._origin = origin
        self._callers_tools = callers_tools
        self._container_id = container_id
        self._namespaces = namespaces
        self._searching = searching
        self._runs: dict[str, _Run] = {}
        self._call_index: dict[str, tuple[str, int]] = {}
        """By `call_id`: the tool call it is part of, and which of its commands."""

    def call(self, call: ToolCall) -> Iterator[Fields]:
        if call.name == PYTHON and self._code.are_served:
            yield from self._code.call(call)
            return
        if call.name in SHELL_TOOLS and self._container_id is not None:
            self._runs[call.tool_call_id] = _Run(call)
            yield from self._shell_call(call, self._container_id)
            return
        if call.name == FILE_SEARCH and self._searching is not None:
            yield from self._searching.call(call)
            return
        match self._callers_tools.get(call.name):
            case "shell":
                yield from self._shell_call(call, None)
            case "function":
                yield from self._function_call(call)
            case "custom":
                yield from self._custom_call(call)
            case "tool_search":
                yield from self._tool_search(call)
            case kind if kind == APPLY_PATCH:
                yield from self._patch_call(call)

    def _shell_call(self, call: ToolCall, container_id: str | None) -> Iterator[Fields]:
        identifier = self._origin.id_of("shell_call", call.tool_call_id)
        item = output_items.shell_call(identifier, call, container_id=container_id)
        index = len(self._emit.output)
        empty: Fields = {"commands": [], "timeout_ms": None, "max_output_length": None}
        yield self._emit.added(item | {"status": "in_progress", "action": empty})
        for number, command in enumerate(item["action"]["commands"]):
            where = {"output_index": index, "command_index": number}
            yield self._emit.event("response.shell_call_command.added", command="", **where)
            yield self._emit.event("response.shell_call_command.delta", delta=command, **where)
            yield self._emit.event("response.shell_call_command.done", command=command, **where)
        yield self._emit.done(index, item)

    def _function_call(self, call: ToolCall) -> Iterator[Fields]:
        identifier = self._origin.id_of("function_call", call.tool_call_id)
        item = output_items.function_call(identifier, call, status="completed")
        item |= self._names(call)
        index = len(self._emit.output)
        yield self._emit.added(item | {"status": "in_progress", "arguments": ""})
        where = {"item_id": identifier, "output_index": index}
        arguments = item["arguments"]
        if arguments:
            yield self._emit.event(
                "response.function_call_arguments.delta", delta=arguments, **where
            )
        yield self._emit.event(
            "response.function_call_arguments.done",
            arguments=arguments,
            name=item["name"],
            **where,
        )
        yield self._emit.done(index, item)

    def _names(self, call: ToolCall) -> Fields:
        """As the program knows its tool."""
        if call.name not in self._namespaces:
            return {"name": call.name}
        namespace, name = self._namespaces[call.name]
        return {"namespace": namespace, "name": name}

    def _custom_call(self, call: ToolCall) -> Iterator[Fields]:
        identifier = self._origin.id_of("custom_tool_call", call.tool_call_id)
        item = output_items.custom_tool_call(identifier, call) | self._names(call)
        index = len(self._emit.output)
        yield self._emit.added(item | {"input": ""})
        where = {"item_id": identifier, "output_index": index}
        given = item["input"]
        yield self._emit.event("response.custom_tool_call_input.delta", delta=given, **where)
        yield self._emit.event("response.custom_tool_call_input.done", input=given, **where)
        yield self._emit.done(index, item)

    def _patch_call(self, call: ToolCall) -> Iterator[Fields]:
        operation = operation_of(call.arguments)
        if operation is None:
            return  # The model was told, and calls again.
        identifier = self._origin.id_of("apply_patch_call", call.tool_call_id)
        index = len(self._emit.output)
        item = output_items.apply_patch_call(identifier, call, operation)
        empty = {"diff": ""} if "diff" in operation else {}
        yield self._emit.added(item | {"status": "in_progress", "operation": operation | empty})
        if "diff" in operation:
            event, diff = "response.apply_patch_call_operation_diff", operation["diff"]
            where = {"item_id": identifier, "output_index": index}
            yield self._emit.event(f"{event}.delta", delta=diff, **where)
            yield self._emit.event(f"{event}.done", diff=diff, **where)
        yield self._emit.done(index, item)

    def _tool_search(self, call: ToolCall) -> Iterator[Fields]:
        identifier = self._origin.id_of("tool_search_call", call.tool_call_id)
        index = len(self._emit.output)
        item = output_items.tool_search_call(identifier, call, status="completed")
        yield self._emit.added(item | {"status": "in_progress"})
        yield self._emit.done(index, item)

    def _output_id(self, run: _Run) -> str:
        return self._origin.id_of("shell_call_output", run.call.tool_call_id)

    def _begin_output(self, run: _Run) -> Iterator[Fields]:
        if run.index >= 0:
            return
        run.index = len(self._emit.output)
        yield self._emit.added(
            {
                "id": self._output_id(run),
                "type": "shell_call_output",
                "status": "in_progress",
                "call_id": run.call.tool_call_id,
                "max_output_length": output_items.whole_number(run.call, "max_output_length"),
                "output": [],
            }
        )

    def started(self, body: CallStarted) -> Iterator[Fields]:
        yield from self._code.started(body)
        run = self._runs.get(body.tool_call_id)
        if run is not None:
            self._call_index[body.call_id] = (body.tool_call_id, body.index)
            yield from self._begin_output(run)

    def _decoder(self, run: _Run, call_id: str, stream: str) -> codecs.IncrementalDecoder:
        """Of a stream of one command: a piece may end within a character."""
        key = (call_id, stream)
        if key not in run.decoders:
            run.decoders[key] = codecs.getincrementaldecoder("utf-8")("replace")
        return run.decoders[key]

    def _run_of(self, call_id: str) -> _Run | None:
        """None for a person's shell."""
        return self._runs.get(self._call_index.get(call_id, ("", 0))[0])

    def skipped(self, call_id: str, stream: str) -> None:
        """Some of its output was not stored."""
        run = self._run_of(call_id)
        if run is not None:
            self._decoder(run, call_id, stream).reset()

    def printed(
        self, call_id: str, stream: str, content: bytes, *, is_last: bool = False
    ) -> Iterator[Fields]:
        run = self._run_of(call_id)
        if run is None:
            return
        text = self._decoder(run, call_id, stream).decode(content, final=is_last)
        if text:
            yield self._emit.event(
                "response.shell_call_output_content.delta",
                item_id=self._output_id(run),
                output_index=run.index,
                command_index=self._call_index[call_id][1],
                delta={stream: text},
            )

    def result(self, tool_call_id: str, item: Fields) -> Iterator[Fields]:
        if self._searching is not None:
            yield from self._searching.result(tool_call_id)
        run = self._runs.pop(tool_call_id, None)
        result = item_from_json(item)
        if isinstance(result, ToolResultItem):
            yield from self._code.result(result)
        if run is None or not isinstance(result, ToolResultItem):
            return
        yield from self._begin_output(run)
        made = output_items.shell_call_output(self._output_id(run), result, run.call)
        for number, output in enumerate(made["output"]):
            yield self._emit.event(
                "response.shell_call_output_content.done",
                item_id=made["id"],
                output_index=run.index,
                command_index=number,
                output=[output],
            )
        yield self._emit.done(run.index, made)

    def leave_open(self) -> None:
        """Nothing more comes of those that have not ended."""
        self._code.leave_open()
        if self._searching is not None:
            self._searching.leave_open()
        for run in self._runs.values():
            if run.index >= 0:
                self._emit.output[run.index]["status"] = "incomplete"
