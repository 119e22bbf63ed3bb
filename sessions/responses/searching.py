"""Searches of files, and the citations of what they found."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sessions.agent.tools.file_search import mark_of, queries_of
from sessions.events.types import SearchEnded, SearchStarted
from sessions.providers.base import ToolCall
from sessions.responses.emitter import Emitter
from sessions.responses.included import SEARCH_CALL
from sessions.responses.output_items import Fields, Origin

FILE_SEARCH = "file_search"
_MARK = re.compile(r"【[0-9a-f]{8}】")


@dataclass(slots=True)
class _Run:
    """A search that has not ended; `index` of its item."""

    item: Fields
    index: int
    is_searching: bool = False


class Searching:
    def __init__(self, emit: Emitter, origin: Origin) -> None:
        self._emit = emit
        self._origin = origin
        self._runs: dict[str, _Run] = {}
        self._files: dict[str, Fields] = {}
        """Found so far, by their marks."""

    def call(self, call: ToolCall) -> Iterator[Fields]:
        item: Fields = {
            "id": self._origin.id_of(SEARCH_CALL, call.tool_call_id),
            "type": SEARCH_CALL,
            "status": "in_progress",
            "queries": queries_of(call.arguments),
            "results": None,
        }
        run = _Run(item, len(self._emit.output))
        self._runs[call.tool_call_id] = run
        yield self._emit.added(dict(item))
        yield self._told(run, "in_progress")

    def _told(self, run: _Run, what: str) -> Fields:
        return self._emit.event(
            f"response.{SEARCH_CALL}.{what}", item_id=run.item["id"], output_index=run.index
        )

    def started(self, body: SearchStarted) -> Iterator[Fields]:
        """A search that was cut off is begun again, and told once."""
        run = self._runs.get(body.tool_call_id)
        if run is not None and not run.is_searching:
            run.is_searching = True
            yield self._told(run, "searching")

    def ended(self, body: SearchEnded) -> Iterator[Fields]:
        run = self._runs.pop(body.tool_call_id, None)
        if run is None:
            return
        for result in body.results:
            self._files.setdefault(mark_of(result["file_id"]), result)
        yield self._told(run, "completed")
        item = run.item | {"status": "completed", "results": body.results}
        yield self._emit.done(run.index, item)

    def result(self, tool_call_id: str) -> Iterator[Fields]:
        """What still has not ended then was not run."""
        run = self._runs.pop(tool_call_id, None)
        if run is not None:
            yield self._emit.done(run.index, run.item | {"status": "failed"})

    def leave_open(self) -> None:
        """Nothing more comes of those that have not ended."""
        for run in self._runs.values():
            self._emit.output[run.index] = run.item | {"status": "incomplete"}

    def citations(self, text: str) -> list[Fields]:
        """Of files that were found; other marks are words. `index` is where in the text it is."""
        return [
            {
                "type": "file_citation",
                "file_id": self._files[found.group()]["file_id"],
                "filename": self._files[found.group()]["filename"],
                "index": found.start(),
            }
            for found in _MARK.finditer(text)
            if found.group() in self._files
        ]
