"""The tool `file_search` in responses, by the official client."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import openai
import pytest
from typing_extensions import override

from sessions.agent.tools.file_search import NOT_KEPT
from sessions.events import log
from sessions.models import Session
from sessions.providers.base import (
    ALL_ABILITIES,
    AssistantMessage,
    Delta,
    Finished,
    Item,
    ItemDone,
    ModelRequest,
    ToolCall,
    ToolResultItem,
)
from sessions.runtime.wiring import runtime
from sessions.streaming.protocol import MAX_PASSAGE_CHARS, event_to_json
from tests.scripted_models import ScriptedModels

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]
Client: TypeAlias = Any
LEAVE = b"# Leave\nEmployees get thirty days of paid vacation a year.\n"
RESULTS: Any = ["file_search_call.results"]


ADD: Any = {
    "type": "function",
    "name": "add",
    "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    "strict": False,
}


class SeenModel:
    """Says one word, and keeps what it was asked."""

    kind = model = "scripted"
    is_tool_markdown = False
    takes = ALL_ABILITIES

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []

    @property
    def asked(self) -> list[Sequence[Item]]:
        return [request.items for request in self.requests]

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        self.requests.append(request)
        yield ItemDone(AssistantMessage("Yes."))
        yield Finished()


class DeletingModel(SeenModel):
    """Searches a store that is deleted at that moment."""

    def __init__(self, client: Client, store: str) -> None:
        super().__init__()
        self.client = client
        self.store = store
        self.items: Sequence[Item] = ()

    @override
    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        self.items = request.items
        if any(isinstance(item, ToolCall) for item in request.items):
            yield ItemDone(AssistantMessage("Nothing."))
        else:
            await self.client.vector_stores.delete(self.store)
            yield ItemDone(ToolCall("call_1", "file_search", {"queries": ["vacation"]}))
        yield Finished()


@contextmanager
def instead(model: Any) -> Iterator[None]:
    """Of the scripted model."""
    models = cast("ScriptedModels", runtime().models)
    models.instead = model
    yield
    models.instead = None


async def stocked(client: Client, *files: tuple[str, bytes]) -> tuple[str, list[str]]:
    """A store of these files, indexed: its id, and those of the files."""
    store = await client.vector_stores.create(name="Handbook")
    ids = []
    for file in files or (("leave.md", LEAVE),):
        made = await client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=file, poll_interval_ms=50
        )
        assert made.status == "completed", made.last_error
        ids.append(made.id)
    return store.id, ids


def asking(query: str, closing: str = "") -> str:
    return f'Let me look.\n```call file_search\n{{"queries": ["{query}"]}}\n```\n{closing}'


def tool(store_id: str, **more: Any) -> Any:
    return {"type": "file_search", "vector_store_ids": [store_id], **more}


async def test_a_model_searches_without_a_container(client: Client) -> None:
    store, (file,) = await stocked(client)
    mark = f"【{file[5:13]}】"
    made = await client.responses.create(
        input=asking("How much holiday do I get?", f"Thirty days {mark}, not 【00000000】."),
        tools=[tool(store)],
        include=RESULTS,
    )
    assert made.status == "completed"
    said, call, answer = made.output
    assert (said.type, call.type, call.status) == ("message", "file_search_call", "completed")
    assert call.id.startswith("fs_")
    assert call.queries == ["How much holiday do I get?"]
    (found,) = call.results
    assert (found.file_id, found.filename) == (file, "leave.md")
    assert "thirty days" in found.text
    assert 0 < found.score <= 1
    (citation,) = answer.content[0].annotations
    assert (citation.type, citation.file_id, citation.filename) == (
        "file_citation",
        file,
        "leave.md",
    )
    assert answer.content[0].text[citation.index :].startswith(mark)
    session = await Session.objects.aget()
    assert session.container_id == ""
    assert session.container_started_at is None


async def test_results_come_to_whoever_asks_for_them(client: Client) -> None:
    store, _ = await stocked(client)
    made = await client.responses.create(input=asking("holiday"), tools=[tool(store)])
    assert made.output[1].results is None
    again = await client.responses.retrieve(made.id)
    assert again.output[1].results is None
    with_them = await client.responses.retrieve(made.id, include=RESULTS)
    assert "thirty days" in with_them.output[1].results[0].text


async def test_the_events_of_a_search(client: Client) -> None:
    store, _ = await stocked(client)
    events = [
        event
        async for event in await client.responses.create(
            input=asking("holiday"), tools=[tool(store)], stream=True
        )
    ]
    kinds = [event.type for event in events]
    begin = kinds.index("response.file_search_call.in_progress")
    assert kinds[begin - 1 : begin + 4] == [
        "response.output_item.added",
        "response.file_search_call.in_progress",
        "response.file_search_call.searching",
        "response.file_search_call.completed",
        "response.output_item.done",
    ]
    assert events[begin + 3].item.results is None
    assert events[-1].response.output[1].status == "completed"


async def test_a_response_goes_on_from_what_was_found(client: Client) -> None:
    store, _ = await stocked(client)
    first = await client.responses.create(input=asking("holiday"), tools=[tool(store)])
    seen = SeenModel()
    with instead(seen):
        again = await client.responses.create(input="And?", previous_response_id=first.id)
        by_hand = await client.responses.create(
            input=[*[one.to_dict() for one in first.output], {"role": "user", "content": "And?"}]
        )
    assert (again.status, by_hand.status) == ("completed", "completed")
    chained, sent = (
        [item for item in items if isinstance(item, ToolResultItem)] for items in seen.asked
    )
    assert "thirty days" in chained[0].text
    assert chained[0].name == "file_search"
    assert sent[0].text == NOT_KEPT, "results that were not sent along are not made up"


async def test_items_of_a_conversation_show_results_to_whoever_asks(client: Client) -> None:
    store, _ = await stocked(client)
    conversation = await client.conversations.create()
    made = await client.responses.create(
        input=asking("holiday"), tools=[tool(store)], conversation=conversation.id
    )
    assert made.status == "completed"

    async def results(**more: Any) -> Any:
        items = [item async for item in client.conversations.items.list(conversation.id, **more)]
        return next(item for item in items if item.type == "file_search_call").results

    assert await results() is None
    assert len(await results(include=RESULTS)) == 1


async def test_the_choice_of_it_reaches_the_endpoint_as_a_function(client: Client) -> None:
    store, _ = await stocked(client)
    seen = SeenModel()
    with instead(seen):
        for choice in (
            {"type": "file_search"},
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "file_search"}]},
        ):
            made = await client.responses.create(
                input="Go", tools=[tool(store), ADD], tool_choice=choice
            )
            assert made.tool_choice.type == choice["type"]
    one, other = seen.requests
    assert one.options.tool_choice == {"type": "function", "name": "file_search"}
    assert {spec.name for spec in one.tools} == {"file_search", "add"}
    assert other.options.tool_choice == "required"
    assert [spec.name for spec in other.tools] == ["file_search"]


async def test_the_tools_options_are_honoured(client: Client) -> None:
    store, ids = await stocked(
        client, *((f"{year}.md", LEAVE + b"In %d." % year) for year in (2024, 2025, 2026))
    )
    for year, file in zip((2024, 2025, 2026), ids, strict=True):
        await client.vector_stores.files.update(
            file, vector_store_id=store, attributes={"year": year}
        )
    made = await client.responses.create(
        input=asking("vacation"),
        tools=[
            tool(
                store,
                max_num_results=1,
                filters={"type": "lt", "key": "year", "value": 2026},
                ranking_options={
                    "score_threshold": 0.01,
                    "hybrid_search": {"embedding_weight": 1, "text_weight": 2},
                },
            )
        ],
        include=RESULTS,
    )
    (found,) = made.output[1].results
    assert found.attributes["year"] in (2024, 2025)
    (given,) = made.tools
    assert (given.max_num_results, given.vector_store_ids) == (1, [store])


async def test_a_store_that_went_meanwhile_is_told_to_the_model(client: Client) -> None:
    store, _ = await stocked(client)
    goes = DeletingModel(client, store)
    with instead(goes):
        made = await client.responses.create(input="Go", tools=[tool(store)])
    assert made.status == "completed"
    assert made.output[0].status == "failed"
    (result,) = [item for item in goes.items if isinstance(item, ToolResultItem)]
    assert "gone" in result.text
    with pytest.raises(openai.NotFoundError) as refused:
        await client.responses.create(input="Hello", tools=[tool(store)])
    assert refused.value.param == "tools[0].vector_store_ids[0]"


async def test_a_call_that_cannot_be_made_has_failed(client: Client) -> None:
    store, _ = await stocked(client)
    made = await client.responses.create(
        input='```call file_search\n{"queries": 7}\n```', tools=[tool(store)]
    )
    (call,) = [item for item in made.output if item.type == "file_search_call"]
    assert (call.status, call.queries, call.results) == ("failed", [], None)


async def test_calls_beyond_the_limit_are_not_made(client: Client) -> None:
    store, _ = await stocked(client)
    made = await client.responses.create(
        input=f"{asking('one')}\n{asking('two')}", tools=[tool(store)], max_tool_calls=1
    )
    statuses = [item.status for item in made.output if item.type == "file_search_call"]
    assert statuses == ["completed", "failed"]


async def test_other_peoples_stores_are_not_there(client: Client, bobs_client: Client) -> None:
    store, _ = await stocked(client)
    messages = []
    for named in (store, "vs_" + "0" * 32):
        with pytest.raises(openai.NotFoundError) as refused:
            await bobs_client.responses.create(input=asking("vacation"), tools=[tool(named)])
        messages.append(refused.value.message.replace(named, "vs"))
        assert refused.value.param == "tools[0].vector_store_ids[0]"
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([{"type": "file_search"}], "tools[0].vector_store_ids"),
        ([{"type": "file_search", "vector_store_ids": []}], "tools[0].vector_store_ids"),
        (
            [{"type": "file_search", "vector_store_ids": ["vs_1"], "max_num_results": 0}],
            "tools[0].max_num_results",
        ),
        (
            [{"type": "file_search", "vector_store_ids": ["vs_1"], "surprise": 1}],
            "tools[0].surprise",
        ),
    ],
)
async def test_what_the_tool_cannot_be_is_refused_by_name(
    client: Client, tools: Any, param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(input="x", tools=tools)
    assert refused.value.param == param


async def test_its_name_is_taken_beside_it_and_free_without(client: Client) -> None:
    store, _ = await stocked(client)
    mine = {**ADD, "name": "file_search"}
    for tools in ([tool(store), mine], [tool(store), tool(store)]):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(input="x", tools=tools)
        assert str(refused.value.param).startswith("tools[1]")
    made = await client.responses.create(input=asking("x"), tools=[mine])
    assert made.output[-1].type == "function_call"


async def test_the_page_gets_queries_and_passages(client: Client) -> None:
    store, _ = await stocked(client, ("long.md", LEAVE + b"word " * 700))
    await client.responses.create(input=asking("paid vacation"), tools=[tool(store)])
    session = await Session.objects.aget()
    shown = [event_to_json(event) for event in await log.read(session.id)]
    (started,) = [event for event in shown if event["type"] == "search.started"]
    (ended,) = [event for event in shown if event["type"] == "search.ended"]
    assert started["queries"] == ["paid vacation"]
    assert started["tool_call_id"] == ended["tool_call_id"]
    (result,) = ended["results"]
    assert set(result) == {"filename", "score", "text"}
    assert len(result["text"]) == MAX_PASSAGE_CHARS + 1


async def test_a_stream_had_again_has_results_for_whoever_asks(client: Client) -> None:
    store, _ = await stocked(client)
    made = await client.responses.create(
        input=asking("holiday"), tools=[tool(store)], background=True, stream=True
    )
    first = [event async for event in made]
    response_id = first[0].response.id
    again = await client.responses.retrieve(response_id, stream=True, include=RESULTS)
    events = [event async for event in again]
    assert [event.type for event in events] == [event.type for event in first]
    found = events[-1].response.output[1].results
    assert "thirty days" in found[0].text
    assert first[-1].response.output[1].results is None


async def test_a_search_beside_a_command(client: Client) -> None:
    store, _ = await stocked(client)
    made = await client.responses.create(
        input=f"{asking('holiday')}\n```bash\necho hello\n```",
        tools=[tool(store), {"type": "shell"}],
    )
    kinds = [item.type for item in made.output]
    assert kinds.count("file_search_call") == kinds.count("shell_call_output") == 1
    assert all(item.status == "completed" for item in made.output)
