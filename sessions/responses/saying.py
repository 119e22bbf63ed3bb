"""Messages and thoughts, while they are said."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sessions.providers.base import AssistantMessage, Reasoning
from sessions.responses import output_items
from sessions.responses.emitter import Emitter
from sessions.responses.output_items import Fields, Origin

Kind: TypeAlias = Literal["message", "reasoning"]


@dataclass(slots=True)
class _Said:
    """A message or a thought that is being said."""

    kind: Kind
    index: int
    item_id: str
    message_id: str
    """Of its deltas in the log."""
    text: str = ""
    is_text_done: bool = False


class Saying:
    def __init__(self, emit: Emitter, origin: Origin, cite: Callable[[str], list[Fields]]) -> None:
        """`cite` finds what a text cites."""
        self._emit = emit
        self._cite = cite
        self._origin = origin
        self._said: list[_Said] = []
        """In their order; those that are whole in the log leave it."""

    def delta(self, kind: Kind, text: str, message_id: str) -> Iterator[Fields]:
        said = next((one for one in self._said if one.message_id == message_id), None)
        if said is None:
            # One is said after the other; what an endpoint made of each is told at the end.
            for earlier in self._said:
                if earlier.kind == "reasoning":
                    yield from self._text_done(earlier)
            said = yield from self._begin(kind, message_id)
        said.text += text
        if kind == "message":
            yield self._part(
                said, "response.output_text.delta", delta=text, logprobs=[], content_index=0
            )
        else:
            yield self._part(
                said, "response.reasoning_summary_text.delta", delta=text, summary_index=0
            )

    def _begin(self, kind: Kind, message_id: str) -> Generator[Fields, None, _Said]:
        index = len(self._emit.output)
        said = _Said(kind, index, self._origin.id_of(kind, str(index)), message_id)
        self._said.append(said)
        if kind == "message":
            item = output_items.message(said.item_id, "", status="in_progress", raw=None)
            yield self._emit.added(item | {"content": []})
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            yield self._part(said, "response.content_part.added", part=part, content_index=0)
        else:
            item = output_items.reasoning(
                said.item_id,
                "",
                status="in_progress",
                raw=None,
            )
            yield self._emit.added(item)
            part = {"type": "summary_text", "text": ""}
            yield self._part(
                said, "response.reasoning_summary_part.added", part=part, summary_index=0
            )
        return said

    def _text_done(self, said: _Said, parts: list[Fields] | None = None) -> Iterator[Fields]:
        if said.is_text_done:
            return
        said.is_text_done = True
        if said.kind == "reasoning":
            part: Fields = {"type": "summary_text", "text": said.text}
            yield self._part(
                said, "response.reasoning_summary_text.done", text=said.text, summary_index=0
            )
            yield self._part(
                said, "response.reasoning_summary_part.done", part=part, summary_index=0
            )
            return
        part = parts[0] if parts else {}
        if part.get("type") != "output_text":
            part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
        for number, annotation in enumerate(part["annotations"]):
            yield self._part(
                said,
                "response.output_text.annotation.added",
                annotation=annotation,
                annotation_index=number,
                content_index=0,
            )
        yield self._part(
            said,
            "response.output_text.done",
            text=part["text"],
            logprobs=part["logprobs"],
            content_index=0,
        )
        yield self._part(said, "response.content_part.done", part=part, content_index=0)

    def _close(self, said: _Said, item: Fields) -> Iterator[Fields]:
        yield from self._text_done(said, item.get("content"))
        self._said.remove(said)
        yield self._emit.done(said.index, item)

    def leave_open(self) -> Iterator[Fields]:
        """What an attempt that was cut off had said stays, and says that it is not whole."""
        for said in list(self._said):
            if said.kind == "message":
                item = output_items.message(said.item_id, said.text, status="incomplete", raw=None)
            else:
                item = output_items.reasoning(
                    said.item_id,
                    said.text,
                    status="incomplete",
                    raw=None,
                )
            yield from self._close(said, item)

    def item(self, item: AssistantMessage | Reasoning) -> Iterator[Fields]:
        match item:
            case AssistantMessage(text, raw, annotations) if text or raw:
                said = yield from self._whole("message", text)
                status = "incomplete" if (raw or {}).get("status") == "incomplete" else "completed"
                made = output_items.message(
                    said.item_id, text, status=status, raw=raw, annotations=annotations
                )
                for part in made["content"]:
                    if part["type"] == "output_text":
                        part["annotations"] = [*part["annotations"], *self._cite(part["text"])]
                yield from self._close(said, made)
            case Reasoning(text, raw):
                said = yield from self._whole("reasoning", text)
                made = output_items.reasoning(
                    said.item_id,
                    said.text,
                    status="completed",
                    raw=raw,
                )
                yield from self._close(said, made)

    def _whole(self, kind: Kind, text: str) -> Generator[Fields, None, _Said]:
        """The first of its kind that was being said, or that which said just this; an endpoint that does
        not stream says it at once."""
        there = [one for one in self._said if one.kind == kind]
        there = [one for one in there if one.text == text] or there
        if not there:
            there = [(yield from self._begin(kind, ""))]
            if text:
                yield from self.delta(kind, text, "")
        said = there[0]
        said.text = text or said.text
        return said

    def _part(self, said: _Said, kind: str, **fields: Any) -> Fields:
        return self._emit.event(kind, item_id=said.item_id, output_index=said.index, **fields)
