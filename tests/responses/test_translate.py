"""A log as the events of a response: what providers do that the scripted one does not."""

import dataclasses
import uuid
from collections.abc import Sequence
from typing import Any

from sessions.events.types import (
    CallEnded,
    CallStarted,
    EventBody,
    MessageDelta,
    MessageDone,
    Notice,
    Output,
    OutputDropped,
    ProviderRetry,
    StepEnded,
    StepStarted,
    StoredEvent,
    ToolResult,
    TurnEnded,
    TurnRemoved,
    TurnStarted,
)
from sessions.providers.base import (
    AssistantMessage,
    CommandResult,
    Item,
    Reasoning,
    ToolCall,
    ToolResultItem,
    item_to_json,
)
from sessions.responses.output_items import Origin
from sessions.responses.translate import About, Outcome, Translation
from tests.api.contract import event_schema, problems

TURN = 2
SKELETON = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "in_progress",
    "model": "m",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "temperature": 1,
    "top_p": 1,
}


def translation(**callers_tools: str) -> Translation:
    about = About(
        Origin(uuid.UUID(int=1), uuid.UUID(int=2)), TURN, SKELETON, callers_tools, "cntr_1", False
    )
    return Translation(about)


def told(made: Translation, bodies: Sequence[EventBody]) -> list[dict[str, Any]]:
    """All events, each as the document says."""
    events = list(made.opening())
    for seq, body in enumerate([TurnStarted(TURN, "p", "m"), *bodies], start=1):
        events += made.feed(StoredEvent(seq, body, 5_000))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        assert not problems(event_schema(event["type"]), event), event
    return events


def step(*items: Item, number: int = 1) -> StepEnded:
    return StepEnded(TURN, number, [item_to_json(item) for item in items])


def names(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


END = TurnEnded(TURN, "completed", input_tokens=7, output_tokens=5)


def test_a_thought_comes_before_what_is_said_and_goes_back_encrypted() -> None:
    raw = {"type": "reasoning", "id": "rs_x", "encrypted_content": "secret", "summary": []}
    events = told(
        translation(),
        [
            StepStarted(TURN, 1),
            MessageDelta("r", "reasoning", "Hm, "),
            MessageDelta("r", "reasoning", "yes."),
            MessageDelta("t", "text", "Yes."),
            MessageDone("r", "reasoning", "Hm, yes."),
            MessageDone("t", "text", "Yes."),
            step(Reasoning("Hm, yes.", raw), AssistantMessage("Yes.")),
            END,
        ],
    )
    assert names(events)[2:] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_item.done",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    thought, said = events[-1]["response"]["output"]
    assert thought["encrypted_content"] == "secret"
    assert thought["summary"] == [{"type": "summary_text", "text": "Hm, yes."}]
    assert said["content"][0]["text"] == "Yes."
    usage = events[-1]["response"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (7, 5, 12)


def test_what_an_attempt_that_was_cut_had_said_stays_as_incomplete() -> None:
    events = told(
        translation(),
        [
            StepStarted(TURN, 1),
            MessageDelta("a", "text", "The answ"),
            ProviderRetry(1, 0.5, "the connection broke"),
            StepStarted(TURN, 1),
            MessageDelta("b", "text", "The answer."),
            step(AssistantMessage("The answer.")),
            END,
        ],
    )
    cut, whole = events[-1]["response"]["output"]
    assert (cut["status"], cut["content"][0]["text"]) == ("incomplete", "The answ")
    assert (whole["status"], whole["content"][0]["text"]) == ("completed", "The answer.")
    assert cut["id"] != whole["id"]


def test_an_endpoint_that_says_all_at_once_is_told_in_the_same_order() -> None:
    events = told(translation(), [StepStarted(TURN, 1), step(AssistantMessage("Whole.")), END])
    assert names(events)[2:] == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_citations_and_a_refusal_are_kept() -> None:
    annotation = {
        "type": "url_citation",
        "url": "http://a/",
        "title": "A",
        "start_index": 0,
        "end_index": 3,
    }
    cited = {"type": "output_text", "text": "See A.", "annotations": [annotation], "logprobs": []}
    refused = {"type": "refusal", "refusal": "No."}
    events = told(
        translation(),
        [
            StepStarted(TURN, 1),
            step(AssistantMessage("See A.", {"type": "message", "content": [cited]})),
            StepStarted(TURN, 2),
            step(AssistantMessage("No.", {"type": "message", "content": [refused]}), number=2),
            END,
        ],
    )
    assert "output_text.annotation.added" in names(events)
    first, second = events[-1]["response"]["output"]
    assert first["content"] == [cited]
    assert second["content"] == [refused]


def ran(call_id: str, stdout: str, code: int = 0) -> CommandResult:
    return CommandResult(call_id, stdout, "", {"kind": "exit", "exit_code": code})


def test_commands_at_the_same_time_are_told_apart() -> None:
    call = ToolCall("call_1", "shell", {"commands": ["a", "b"]})
    events = told(
        translation(),
        [
            step(call),
            CallStarted("call_1.1", "call_1", 1, "shell", "b", 10.0),
            CallStarted("call_1.0", "call_1", 0, "shell", "a", 10.0),
            Output("shell-of-a-person", "pty", 0, b"typed"),
            Output("call_1.1", "stdout", 0, b"of b"),
            Output("call_1.0", "stdout", 0, b"of \xc3"),
            OutputDropped("call_1.0", "stdout", 4, 100),
            Output("call_1.0", "stdout", 104, b"a\xff"),
            CallEnded("call_1.0", {"kind": "exit", "exit_code": 0}, 1),
            CallEnded("call_1.1", {"kind": "exit", "exit_code": 1}, 1),
            ToolResult(
                "call_1",
                item_to_json(
                    ToolResultItem("call_1", "shell", [ran("a", "of a"), ran("b", "of b", 1)])
                ),
            ),
            END,
        ],
    )
    deltas = [
        (event["command_index"], event["delta"])
        for event in events
        if event["type"] == "response.shell_call_output_content.delta"
    ]
    assert deltas == [
        (1, {"stdout": "of b"}),
        (0, {"stdout": "of "}),
        (0, {"stdout": "a\ufffd"}),
    ]
    done = events[-1]["response"]["output"][1]["output"]
    assert [one["outcome"]["exit_code"] for one in done] == [0, 1]


def test_a_call_that_was_refused_has_an_output_for_each_command() -> None:
    call = ToolCall("call_1", "shell", {"commands": ["a", "b"]})
    result = ToolResultItem("call_1", "shell", text="It was not run.")
    events = told(translation(), [step(call), ToolResult("call_1", item_to_json(result)), END])
    outputs = events[-1]["response"]["output"][1]["output"]
    assert [one["stderr"] for one in outputs] == ["It was not run."] * 2


def test_a_tool_that_nobody_gave_is_not_shown() -> None:
    call = ToolCall("call_1", "harbour", {"a": 1})
    result = ToolResultItem("call_1", "harbour", text="There is no such tool.")
    events = told(translation(), [step(call), ToolResult("call_1", item_to_json(result)), END])
    assert events[-1]["response"]["output"] == []


def test_calls_of_a_programs_tools_are_told_by_their_kind() -> None:
    calls = [
        ToolCall("c1", "apply_patch", {"input": "*** Begin Patch"}),
        ToolCall("c2", "tool_search", {"query": "boats"}),
    ]
    made = translation(apply_patch="custom", tool_search="tool_search")
    events = told(made, [step(*calls), END])
    patch, search = events[-1]["response"]["output"]
    assert (patch["type"], patch["input"]) == ("custom_tool_call", "*** Begin Patch")
    assert (search["type"], search["arguments"]) == ("tool_search_call", {"query": "boats"})
    assert "custom_tool_call_input.done" in names(events)


def test_what_ran_when_it_was_stopped_is_incomplete() -> None:
    call = ToolCall("call_1", "shell", {"commands": ["a"]})
    made = translation()
    events = told(
        made,
        [
            step(call),
            CallStarted("call_1.0", "call_1", 0, "shell", "a", 10.0),
            TurnEnded(TURN, "stopped"),
        ],
    )
    assert made.outcome is not None
    assert made.outcome.status == "cancelled"
    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["output"][1]["status"] == "incomplete"


def test_how_a_turn_ends_is_how_a_response_does() -> None:
    cases: list[tuple[list[EventBody], str, str]] = [
        ([Notice("warning", "cut", "length"), END], "incomplete", "max_output_tokens"),
        ([Notice("warning", "cut", "content_filter"), END], "incomplete", "content_filter"),
        ([TurnEnded(TURN, "token_limit")], "incomplete", "max_output_tokens"),
        ([TurnEnded(TURN, "step_limit", "Too many steps.")], "failed", ""),
        ([TurnEnded(TURN, "failed", "No model.", "Set one.")], "failed", ""),
    ]
    for bodies, status, reason in cases:
        made = translation()
        events = told(made, bodies)
        assert made.outcome is not None
        assert (made.outcome.status, made.outcome.incomplete_reason) == (status, reason)
        assert events[-1]["type"] == f"response.{status}"
        if status == "failed":
            assert events[-1]["response"]["error"]["code"] == "server_error"


def test_other_turns_of_the_session_are_not_told() -> None:
    made = translation()
    list(made.opening())
    before = [TurnStarted(1, "p", "m"), MessageDelta("x", "text", "no"), TurnEnded(1, "completed")]
    for seq, body in enumerate(before, start=1):
        assert not list(made.feed(StoredEvent(seq, body, 0)))
    removed = StoredEvent(9, TurnRemoved(TURN), 0)
    assert [event["type"] for event in made.feed(removed)] == ["response.incomplete"]
    assert not list(made.feed(removed)), "nothing comes behind the end"


def test_one_in_the_background_is_queued_until_its_turn_begins() -> None:
    made = translation()
    made = Translation(dataclasses.replace(made._about, is_background=True))
    assert names(list(made.opening())) == ["created", "queued"]
    earlier = [TurnStarted(1, "p", "m"), TurnEnded(1, "completed")]
    for seq, body in enumerate(earlier, start=1):
        assert not list(made.feed(StoredEvent(seq, body, 0)))
    begun = [TurnStarted(TURN, "p", "m"), TurnStarted(TURN, "p", "m")]
    events = [event for body in begun for event in made.feed(StoredEvent(9, body, 0))]
    assert names(events) == ["in_progress"], "once"
    told = list(made.told(Outcome("completed", [], completed_at=5)))
    assert names(told) == ["completed"], "also where its log is gone by now"


def test_messages_of_one_answer_are_items_with_their_own_words() -> None:
    events = told(
        translation(),
        [
            StepStarted(TURN, 1),
            MessageDelta("a", "text", "First."),
            MessageDelta("b", "text", "Second "),
            MessageDelta("b", "text", "one."),
            MessageDone("a", "text", "First."),
            MessageDone("b", "text", "Second one."),
            step(AssistantMessage("First."), AssistantMessage("Second one.")),
            END,
        ],
    )
    deltas = [event for event in events if event["type"] == "response.output_text.delta"]
    assert [(event["output_index"], event["delta"]) for event in deltas] == [
        (0, "First."),
        (1, "Second "),
        (1, "one."),
    ]
    output = events[-1]["response"]["output"]
    assert [item["content"][0]["text"] for item in output] == ["First.", "Second one."]
    assert [event["item_id"] for event in deltas] == [
        output[0]["id"],
        output[1]["id"],
        output[1]["id"],
    ]
