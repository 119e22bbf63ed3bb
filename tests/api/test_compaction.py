"""Long conversations made short: within a response, by themselves, and what they weigh."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import openai
import pytest
from django.test import override_settings
from typing_extensions import override

from sessions.errors import ContextOverflowError, ProviderUnavailableError
from sessions.events.log import read
from sessions.models import ApiResponse, Event, Session
from sessions.providers.base import Compacted, Delta, Item, ModelRequest, UserMessage
from sessions.providers.scripted import ScriptedProvider
from sessions.responses import context
from sessions.responses.sealed import unseal
from sessions.runtime.process import Runtime
from sessions.streaming.protocol import event_to_json
from tests.api.conftest import lenient
from tests.scripted_models import ScriptedModels

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]
Client: TypeAlias = Any
SHELL: Any = {"type": "shell"}
OVER_1000: Any = [{"type": "compaction", "compact_threshold": 1000}]
LONG = "```bash\nseq 2000\n```\n---\n```bash\necho then\n```"
TRIGGER: Any = {"type": "compaction_trigger"}


def kinds(response: Any) -> list[str]:
    return [item.type for item in response.output]


def sealed(response: Any) -> str:
    (item,) = [item for item in response.output if item.type == "compaction"]
    return str(item.encrypted_content)


@dataclasses.dataclass(slots=True)
class Listening(ScriptedProvider):
    """Notes what it is asked; `room` is how many items it takes at most."""

    asked: list[list[Item]] = dataclasses.field(default_factory=list)
    room: int = 1000
    sums_up: bool = True

    @override
    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        if request.purpose == "summary" and not self.sums_up:
            raise ProviderUnavailableError("The model is away.")
        if request.purpose == "answer":
            self.asked.append(list(request.items))
            if len(request.items) > self.room:
                raise ContextOverflowError("Too long.")
        async for delta in ScriptedProvider.stream(self, request):
            yield delta


@pytest.fixture
def listening(sandbox_runtime: Runtime) -> Listening:
    model = Listening()
    sandbox_runtime.models = ScriptedModels(model)
    return model


async def test_a_response_over_its_threshold_goes_on_from_a_summary(
    client: Client, listening: Listening
) -> None:
    made = await client.responses.create(
        model="m", input=LONG, tools=[SHELL], context_management=OVER_1000
    )
    assert made.status == "completed"
    assert kinds(made) == [
        "shell_call",
        "shell_call_output",
        "compaction",
        "shell_call",
        "shell_call_output",
        "message",
    ]
    assert made.output_text == "Done: 1 command, exit code 0."
    first, second, _ = listening.asked
    assert [item.type for item in first] == ["user_message"]
    message, summary = second
    assert message == UserMessage(LONG)
    assert isinstance(summary, Compacted)
    assert summary.calls == 1
    assert "the last: [exit code 0]" in summary.text


async def test_what_comes_after_goes_on_from_the_newest_compaction(
    client: Client, listening: Listening
) -> None:
    made = await client.responses.create(
        model="m", input=LONG, tools=[SHELL], context_management=OVER_1000
    )
    items = [item.to_dict() for item in made.output]
    pruned = items[kinds(made).index("compaction") :]
    more = {"role": "user", "content": "And now?"}
    listening.asked.clear()
    await client.responses.create(model="m", input=[more], previous_response_id=made.id)
    await client.responses.create(model="m", input=[*pruned, more])
    by_id, by_items = listening.asked
    assert by_id == by_items
    assert [item.type for item in by_id] == [
        "user_message",
        "compacted",
        "tool_call",
        "tool_result",
        "assistant_message",
        "user_message",
    ]


async def test_skills_are_told_once_whenever_it_was_compacted(
    client: Client, listening: Listening
) -> None:
    skills = [{"name": "tides", "description": "Reads tables of tides.", "path": "/tides"}]
    local: Any = {"type": "shell", "environment": {"type": "local", "skills": skills}}
    first = await client.responses.create(model="m", input="x" * 5000, tools=[local])
    second = await client.responses.create(
        model="m",
        input="And now?",
        tools=[local],
        previous_response_id=first.id,
        context_management=OVER_1000,
    )
    assert "compaction" in kinds(second)
    await client.responses.create(
        model="m", input="And then?", tools=[local], previous_response_id=second.id
    )
    for items in listening.asked:
        told = [item for item in items if "Reads tables of tides." in getattr(item, "text", "")]
        assert told == items[:1]


async def test_skills_of_the_program_are_counted(client: Client) -> None:
    skill = {"name": "tides", "description": "Reads tables of tides. " * 20, "path": "/tides"}
    with_it: Any = {"type": "shell", "environment": {"type": "local", "skills": [skill]}}
    without: Any = {"type": "shell", "environment": {"type": "local"}}
    counted = [
        (
            await client.responses.input_tokens.count(model="m", input="Hello", tools=[tool])
        ).input_tokens
        for tool in (without, with_it)
    ]
    assert counted[1] - counted[0] > 80


async def test_the_events_say_when(client: Client) -> None:
    stream = await client.responses.create(
        model="m", input=LONG, tools=[SHELL], context_management=OVER_1000, stream=True
    )
    events = [event async for event in stream]
    of_item = [
        event.type
        for event in events
        if getattr(getattr(event, "item", None), "type", "") == "compaction"
    ]
    assert of_item == ["response.output_item.added", "response.output_item.done"]
    again = await client.responses.retrieve(events[0].response.id)
    assert sealed(again) == sealed(events[-1].response)


async def test_a_person_sees_it_and_not_what_is_in_it(client: Client) -> None:
    made = await client.responses.create(
        model="m", input=LONG, tools=[SHELL], context_management=OVER_1000
    )
    session = await Session.objects.aget()
    (event,) = await read(session.id, types=("context.compacted",))
    shown = event_to_json(event)
    assert shown["tokens_before"] > 1000 > shown["tokens_after"] > 0
    assert sealed(made) not in str(shown)
    stored = [row.payload async for row in Event.objects.filter(type="context.compacted")]
    assert "seq 2000" not in str(stored), "it is not readable in the log either"


async def test_under_the_threshold_nothing_is_compacted(client: Client) -> None:
    high: Any = [{"type": "compaction", "compact_threshold": 100_000}]
    made = await client.responses.create(
        model="m", input=LONG, tools=[SHELL], context_management=high
    )
    assert "compaction" not in kinds(made)


async def test_without_a_threshold_the_endpoint_says_when(
    client: Client, listening: Listening
) -> None:
    listening.room = 2
    made = await client.responses.create(
        model="m", input=LONG, tools=[SHELL], context_management=[{"type": "compaction"}]
    )
    assert made.status == "completed"
    assert kinds(made).count("compaction") == 2
    assert kinds(made).count("shell_call") == 2


async def test_a_model_that_cannot_sum_up_loses_nothing(
    client: Client, listening: Listening
) -> None:
    listening.sums_up = False
    made = await client.responses.create(
        model="m", input=LONG, tools=[SHELL], context_management=OVER_1000
    )
    assert made.status == "completed"
    assert "compaction" not in kinds(made)
    assert len(listening.asked[-1]) == 5
    notices = [row.payload async for row in Event.objects.filter(type="notice")]
    assert [one["code"] for one in notices] == ["compaction_failed"]
    assert "The model is away." in notices[0]["text"]


async def test_a_trigger_compacts_and_does_nothing_else(
    client: Client, listening: Listening
) -> None:
    first = await client.responses.create(model="m", input="Remember the Elbe.")
    listening.asked.clear()
    made = await client.responses.create(model="m", input=[TRIGGER], previous_response_id=first.id)
    assert kinds(made) == ["compaction"]
    assert listening.asked == []
    row = await ApiResponse.objects.select_related("owner").order_by("-created_at").afirst()
    assert row is not None
    message, summary = unseal(row.owner_id, sealed(made))
    assert message == UserMessage("Remember the Elbe.")
    assert isinstance(summary, Compacted)
    listed = [item async for item in client.responses.input_items.list(made.id)]
    assert listed == []


async def test_truncation_drops_what_is_oldest(client: Client, listening: Listening) -> None:
    listening.room = 4
    words: Any = [{"role": "user", "content": f"word {number}"} for number in range(10)]
    with_all = await client.responses.create(model="m", input=words)
    assert with_all.status == "failed"
    listening.asked.clear()
    made = await client.responses.create(model="m", input=words, truncation="auto")
    assert made.status == "completed"
    assert [len(items) for items in listening.asked] == [10, 5, 3]
    assert listening.asked[-1][-1] == UserMessage("word 9")


# By itself


async def test_a_conversation_is_compacted_to_the_next_window(
    client: Client, listening: Listening
) -> None:
    items: list[Any] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "One."},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Two."},
    ]
    window = await lenient(client).responses.compact(model="m", input=items)
    assert window.object == "response.compaction"
    assert [item.type for item in window.output] == ["message", "message", "compaction"]
    # The types of the client know of no message of a user in it.
    sent: list[Any] = [item.to_dict(warnings=False) for item in window.output]
    made = await client.responses.create(
        model="m", input=[*sent, {"role": "user", "content": "Three."}]
    )
    assert made.status == "completed"
    (asked,) = listening.asked
    assert [getattr(item, "text", "") for item in asked][:3] == ["Be brief.", "One.", "Two."]
    assert [item.type for item in asked[3:]] == ["compacted", "user_message"]
    assert await Session.objects.acount() == 1, "compacting alone is no session"


async def test_a_stored_response_is_compacted_by_id(client: Client, bobs_client: Client) -> None:
    made = await client.responses.create(model="m", input="Remember the Elbe.")
    window = await lenient(client).responses.compact(model="m", previous_response_id=made.id)
    assert window.output[-1].type == "compaction"
    with pytest.raises(openai.BadRequestError) as refused:
        await bobs_client.responses.compact(model="m", previous_response_id=made.id)
    assert refused.value.code == "previous_response_not_found"


async def test_a_model_that_cannot_sum_up_is_told_of(client: Client, listening: Listening) -> None:
    listening.sums_up = False
    with pytest.raises(openai.InternalServerError) as failed:
        await client.responses.compact(model="m", input="x")
    assert "away" in failed.value.message


async def test_what_is_too_long_to_be_read_is_refused_unless_it_was_compacted(
    client: Client, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "MAX_CHARS", 6000)
    first = await client.responses.create(model="m", input="a" * 2000)
    compacted_one = await client.responses.create(
        model="m", input=[TRIGGER], previous_response_id=first.id
    )
    second = await client.responses.create(
        model="m", input="b" * 5000, previous_response_id=first.id
    )
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="m", input="x", previous_response_id=second.id)
    assert refused.value.code == "context_length_exceeded"
    assert refused.value.param == "previous_response_id"
    made = await client.responses.create(
        model="m", input="x", previous_response_id=compacted_one.id
    )
    assert made.status == "completed"
    conversation = await client.conversations.create(
        items=[{"type": "message", "role": "user", "content": "c" * 7000}]
    )
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="m", input="x", conversation=conversation.id)
    assert refused.value.param == "conversation"


async def test_one_that_is_not_stored_is_not_there_by_its_id(client: Client) -> None:
    made = await client.responses.create(model="m", input="x", store=False)
    for ask in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError):
            await ask(made.id)
    polled = await client.responses.create(model="m", input="x", store=False, background=True)
    assert (await client.responses.retrieve(polled.id)).id == polled.id


# What is sealed


async def compacted(client: Client) -> Any:
    window = await lenient(client).responses.compact(model="m", input="Remember the Elbe.")
    return window.output[-1].to_dict()


async def test_another_users_and_a_broken_one_are_refused_alike(
    client: Client, bobs_client: Client
) -> None:
    item = await compacted(client)
    told = set()
    broken = item | {"encrypted_content": item["encrypted_content"][:-8] + "AAAAAAA="}
    nonsense = item | {"encrypted_content": "ä"}
    for who, sent in ((bobs_client, item), (client, broken), (client, nonsense)):
        for ask in (who.responses.create, who.responses.compact, who.responses.input_tokens.count):
            with pytest.raises(openai.BadRequestError) as refused:
                await ask(model="m", input=[sent, {"role": "user", "content": "x"}])
            told.add((refused.value.message, refused.value.param, refused.value.code))
    assert len(told) == 1
    assert told.pop()[1:] == ("input[0].encrypted_content", "invalid_encrypted_content")


async def test_a_key_that_was_replaced_still_opens_what_it_sealed(
    client: Client, settings: Any
) -> None:
    item = await compacted(client)
    sent: Any = [item, {"role": "user", "content": "x"}]
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        made = await client.responses.create(model="m", input=sent)
        assert made.status == "completed"
    with (
        override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[]),
        pytest.raises(openai.BadRequestError),
    ):
        await client.responses.create(model="m", input=sent)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"context_management": []}, "context_management"),
        ({"context_management": [{"type": "pruning"}]}, "context_management[0].type"),
        (
            {"context_management": [{"type": "compaction", "compact_threshold": 999}]},
            "context_management[0].compact_threshold",
        ),
        ({"input": [TRIGGER, {"role": "user", "content": "x"}]}, "input[0]"),
        ({"input": [TRIGGER]}, "input"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_its_name(
    client: Client, body: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(**{"model": "m", "input": "x", **body})
    assert refused.value.param == param


# Tokens


async def test_tokens_are_counted_with_all_that_goes_to_the_model(client: Client) -> None:
    async def count(**body: Any) -> int:
        counted = await client.responses.input_tokens.count(model="m", **body)
        assert counted.object == "response.input_tokens"
        return int(counted.input_tokens)

    short = await count(input="Hello")
    assert 0 < short < 20
    assert await count(input="Hello", instructions="Be brief. " * 10) > short
    assert await count(input="Hello", tools=[SHELL]) > short
    made = await client.responses.create(model="m", input="x" * 4000)
    assert await count(input="Hello", previous_response_id=made.id) > 1000
    assert await Session.objects.acount() == 1, "counting makes no session"


async def test_nobody_counts_with_what_is_anothers(client: Client, bobs_client: Client) -> None:
    made = await client.responses.create(model="m", input="x")
    with pytest.raises(openai.BadRequestError) as refused:
        await bobs_client.responses.input_tokens.count(previous_response_id=made.id)
    assert refused.value.code == "previous_response_not_found"
    stranger = bobs_client.copy(api_key="berth_nobody")
    for ask in (stranger.responses.compact, stranger.responses.input_tokens.count):
        with pytest.raises(openai.AuthenticationError):
            await ask(model="m", input="x")
