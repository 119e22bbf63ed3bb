"""Conversations and their items: by their owner, and by nobody else."""

import uuid
from typing import Any

import openai
import pytest

from sessions.responses.ids import CONVERSATION, format_id

ITEMS: list[Any] = [
    {"role": "user", "content": "Sort the harbour log"},
    {
        "type": "message",
        "role": "developer",
        "content": [{"type": "input_text", "text": "Be brief"}],
    },
    {
        "type": "message",
        "role": "assistant",
        "phase": "commentary",
        "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
    },
    {"type": "shell_call", "call_id": "call_1", "action": {"commands": ["ls"]}},
    {
        "type": "shell_call_output",
        "call_id": "call_1",
        "output": [{"stdout": "log\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
    },
    {"type": "function_call", "call_id": "call_2", "name": "weigh", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_2", "output": "12 t"},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
    {"type": "compaction", "encrypted_content": "opaque"},
    {"role": "assistant", "content": "Done."},
]


async def items_of(client: openai.AsyncOpenAI, conversation_id: str, **query: Any) -> list[Any]:
    """As JSON."""
    listed = client.conversations.items.list(conversation_id, **query)
    return [item.to_dict() async for item in listed]


async def ids_of(client: openai.AsyncOpenAI, conversation_id: str, **query: Any) -> list[str]:
    return [item["id"] for item in await items_of(client, conversation_id, **query)]


async def test_metadata_is_kept_and_replaced(client: openai.AsyncOpenAI) -> None:
    made = await client.conversations.create(metadata={"ship": "Elbe"})
    assert made.metadata == {"ship": "Elbe"}
    changed = await client.conversations.update(made.id, metadata={"port": "Kiel"})
    assert changed.metadata == {"port": "Kiel"}
    found = await client.conversations.retrieve(made.id)
    assert (found.metadata, found.created_at) == ({"port": "Kiel"}, made.created_at)


async def test_items_of_every_kind_come_back_in_their_order(client: openai.AsyncOpenAI) -> None:
    made = await client.conversations.create(items=ITEMS[:4])
    await client.conversations.items.create(made.id, items=ITEMS[4:])
    back = await items_of(client, made.id, order="asc")
    assert [item["type"] for item in back] == [item.get("type", "message") for item in ITEMS]
    assert back[0]["content"] == [{"type": "input_text", "text": "Sort the harbour log"}]
    assert back[2]["phase"] == "commentary"
    assert back[3]["action"]["commands"] == ["ls"]
    assert back[7]["id"] == "rs_1"
    assert back[9]["content"][0]["text"] == "Done."
    ids = [item["id"] for item in back]
    assert len(set(ids)) == len(ids)


async def test_items_come_in_pages_newest_first(client: openai.AsyncOpenAI) -> None:
    made = await client.conversations.create(items=ITEMS)
    pages = await ids_of(client, made.id, limit=3)
    ascending = await ids_of(client, made.id, order="asc")
    assert pages == ascending[::-1]
    assert len(pages) == len(ITEMS)


async def test_one_item_is_read_and_deleted(client: openai.AsyncOpenAI) -> None:
    made = await client.conversations.create(items=ITEMS[:2])
    second, first = await ids_of(client, made.id)
    item = await client.conversations.items.retrieve(first, conversation_id=made.id)
    assert item.id == first
    answer = await client.conversations.items.delete(first, conversation_id=made.id)
    assert answer.id == made.id
    assert await ids_of(client, made.id) == [second]


async def test_a_deleted_conversation_is_gone_with_its_items(client: openai.AsyncOpenAI) -> None:
    made = await client.conversations.create(items=ITEMS[:1])
    assert (await client.conversations.delete(made.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.conversations.items.list(made.id)


async def test_fields_nobody_here_knows_are_kept(client: openai.AsyncOpenAI) -> None:
    item: Any = {"role": "user", "content": "x", "colour": "red"}
    made = await client.conversations.create(items=[item])
    (back,) = await items_of(client, made.id)
    assert back["colour"] == "red"


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"role": "pirate", "content": "x"}, "items[0].role"),
        ({"role": "user"}, "items[0].content"),
        ({"role": "user", "content": [{"type": "input_text"}]}, "items[0].content[0].text"),
        (
            {"type": "shell_call", "call_id": "c" * 65, "action": {"commands": []}},
            "items[0].call_id",
        ),
        ({"type": "shell_call", "call_id": "c", "action": {}}, "items[0].action.commands"),
        ({"type": "dance_call"}, "items[0]"),
        ({"type": "item_reference", "id": "msg_1"}, "items[0].id"),
    ],
)
async def test_what_is_wrong_with_an_item_is_named(
    client: openai.AsyncOpenAI, item: Any, param: str
) -> None:
    with pytest.raises((openai.BadRequestError, openai.NotFoundError)) as raised:
        await client.conversations.create(items=[item])
    assert raised.value.param == param


async def test_an_item_is_taken_once_and_all_or_none(client: openai.AsyncOpenAI) -> None:
    made = await client.conversations.create(items=[ITEMS[7]])
    with pytest.raises(openai.BadRequestError) as raised:
        await client.conversations.items.create(made.id, items=[ITEMS[0], ITEMS[7]])
    assert raised.value.param == "items[1].id"
    assert len(await ids_of(client, made.id)) == 1


async def test_no_more_than_20_items_at_a_time(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.conversations.create(items=ITEMS[:1] * 21)
    assert (raised.value.param, raised.value.code) == ("items", "array_above_max_length")


@pytest.mark.parametrize(
    "metadata",
    [
        {str(number): "x" for number in range(17)},
        {"k" * 65: "x"},
        {"k": "x" * 513},
        {"k": 5},
    ],
)
async def test_metadata_has_bounds(client: openai.AsyncOpenAI, metadata: Any) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.conversations.create(metadata=metadata)
    assert (raised.value.param or "").startswith("metadata")


async def test_what_cannot_be_included_is_refused(client: openai.AsyncOpenAI) -> None:
    made = await client.conversations.create()
    include: Any = ["the.moon"]
    with pytest.raises(openai.BadRequestError) as raised:
        await client.conversations.items.list(made.id, include=include)
    assert raised.value.param == "include[0]"


async def test_another_users_conversation_is_as_one_that_never_was(
    client: openai.AsyncOpenAI, bobs_client: openai.AsyncOpenAI
) -> None:
    hers = await client.conversations.create(items=ITEMS[:1])
    (item,) = await ids_of(client, hers.id)
    bobs = bobs_client.conversations
    told = set()
    for conversation_id in (hers.id, format_id(CONVERSATION, uuid.uuid4()), "conv_nonsense"):
        for ask in (
            bobs.retrieve,
            lambda one: bobs.update(one, metadata={}),
            bobs.delete,
            bobs.items.list,
            lambda one: bobs.items.create(one, items=ITEMS[:1]),
            lambda one: bobs.items.retrieve(item, conversation_id=one),
            lambda one: bobs.items.delete(item, conversation_id=one),
        ):
            with pytest.raises(openai.NotFoundError) as raised:
                await ask(conversation_id)
            told.add(str(raised.value).replace(conversation_id, "ID"))
    assert len(told) == 1
    assert await ids_of(client, hers.id) == [item]
