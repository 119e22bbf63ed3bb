"""Files of a program that a model changes: it says how, the program does it."""

import json
from typing import Any, TypeAlias

import openai
import pytest
from agents.apply_diff import apply_diff

from sessions.models import Event
from sessions.runtime.process import Runtime
from sessions.runtime.supervisor import Supervisor
from tests.api.conftest import lenient

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]
Client: TypeAlias = Any
PATCH: Any = {"type": "apply_patch"}
SHELL: Any = {"type": "shell"}
CREATE = {"type": "create_file", "path": "a.py", "diff": "+a = 1\n+b = 2\n"}
UPDATE = {"type": "update_file", "path": "a.py", "diff": "@@\n a = 1\n-b = 2\n+b = 3\n"}
DELETE = {"type": "delete_file", "path": "old.txt"}


def calling(*operations: Any) -> str:
    return "Now.\n" + "\n".join(
        f"```call apply_patch\n{json.dumps(operation)}\n```" for operation in operations
    )


def patches(response: Any) -> list[Any]:
    return [item for item in response.output if item.type == "apply_patch_call"]


async def test_the_program_changes_its_files_and_says_how_it_went(client: Client) -> None:
    """The official library applies what is served."""
    files = {"old.txt": ""}
    made = await client.responses.create(
        model="m", input=calling(CREATE, DELETE), tools=[PATCH], tool_choice=PATCH
    )
    assert made.status == "completed"
    assert made.tools[0].to_dict() == PATCH
    assert made.tool_choice.type == "apply_patch"
    created, deleted = patches(made)
    assert [created.status, deleted.status] == ["completed", "completed"]
    files[created.operation.path] = apply_diff("", created.operation.diff, mode="create")
    del files[deleted.operation.path]
    outputs: list[Any] = [
        {"type": "apply_patch_call_output", "call_id": call.call_id, "status": "completed"}
        for call in (created, deleted)
    ]
    then = await client.responses.create(
        model="m",
        input=[*outputs, {"role": "user", "content": calling(UPDATE)}],
        tools=[PATCH],
        previous_response_id=made.id,
    )
    (updated,) = patches(then)
    assert updated.operation.to_dict() == UPDATE
    files["a.py"] = apply_diff(files["a.py"], updated.operation.diff)
    assert files == {"a.py": "a = 1\nb = 3"}
    listed = [item.type async for item in client.responses.input_items.list(then.id)]
    assert listed == ["message", "apply_patch_call_output", "apply_patch_call_output"]


async def test_a_program_that_keeps_the_conversation_itself_sends_the_calls_back(
    client: Client,
) -> None:
    items: list[Any] = [{"role": "user", "content": calling(CREATE)}]
    made = await client.responses.create(model="m", input=items, tools=[PATCH], store=False)
    items += [item.to_dict() for item in made.output]
    (call,) = patches(made)
    failed = {"status": "failed", "output": "No such folder."}
    items.append({"type": "apply_patch_call_output", "call_id": call.call_id, **failed})
    then = await client.responses.create(model="m", input=items, tools=[PATCH], store=False)
    assert then.output_text.startswith("Done")


async def test_the_events_come_in_the_order_of_the_hosted_api(
    client: Client,
) -> None:
    # The client's own types do not know the two events of a diff.
    stream = await lenient(client).responses.create(
        model="m", input=calling(CREATE, DELETE), tools=[PATCH], stream=True
    )
    events: list[dict[str, Any]] = [event.to_dict() async for event in stream]
    of_patch = [event for event in events if event.get("output_index", 0) > 0]
    assert [event["type"].removeprefix("response.") for event in of_patch] == [
        "output_item.added",
        "apply_patch_call_operation_diff.delta",
        "apply_patch_call_operation_diff.done",
        "output_item.done",
        "output_item.added",
        "output_item.done",
    ]
    added, delta, done, whole, gone, _ = of_patch
    assert added["item"]["operation"] == CREATE | {"diff": ""}
    assert added["item"]["status"] == "in_progress"
    assert delta["delta"] == done["diff"] == CREATE["diff"]
    assert delta["item_id"] == whole["item"]["id"]
    assert whole["item"]["operation"] == CREATE
    assert gone["item"]["operation"] == DELETE


async def test_with_a_container_it_is_still_the_program_that_changes_files(
    client: Client,
) -> None:
    script = "```bash\necho one > a.py\n```\n---\n" + calling(CREATE)
    made = await client.responses.create(model="m", input=script, tools=[SHELL, PATCH])
    assert [item.type for item in made.output if item.type != "message"] == [
        "shell_call",
        "shell_call_output",
        "apply_patch_call",
    ]
    assert await Event.objects.filter(type="call.started").acount() == 1


async def test_a_change_that_is_none_goes_back_to_the_model(
    client: Client, sandbox_runtime: Runtime
) -> None:
    wrong = [{"type": "create_file", "path": "a"}, {"type": "chmod", "path": "a", "diff": ""}, {}]
    script = f"{calling(*wrong)}\n---\n{calling(CREATE)}"
    made = await client.responses.create(model="m", input=script, tools=[PATCH])
    (call,) = patches(made)
    assert call.operation.to_dict() == CREATE
    told = [event.payload async for event in Event.objects.filter(type="tool.result")]
    assert len(told) == 3
    assert all("delete_file" in one["item"]["text"] for one in told)


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (
            {"input": [{"type": "apply_patch_call_output", "call_id": "x", "status": "failed"}]},
            "input",
            "No tool call found for apply patch call output with call_id x.",
        ),
        (
            {
                "input": [
                    {
                        "type": "apply_patch_call",
                        "call_id": "x",
                        "status": "completed",
                        "operation": DELETE,
                    }
                ]
            },
            "input",
            "No tool output found for apply patch call x.",
        ),
        (
            {"tools": [PATCH, {"type": "function", "name": "apply_patch"}]},
            "tools[1].name",
            "apply_patch",
        ),
        ({"tools": [PATCH, PATCH]}, "tools", "Only one"),
        ({"tools": [PATCH | {"allowed_callers": ["programmatic"]}]}, None, "programmatic"),
        (
            {
                "input": [
                    {
                        "type": "apply_patch_call",
                        "call_id": "x",
                        "status": "completed",
                        "operation": {"type": "create_file", "path": "a"},
                    }
                ]
            },
            "input[0].operation.diff",
            "diff",
        ),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_name(
    client: Client, body: dict[str, Any], param: str | None, words: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(**{"model": "m", "input": "x", **body})
    assert words in refused.value.message
    if param:
        assert refused.value.param == param


async def test_only_what_is_allowed_may_be_called(client: Client, supervisor: Supervisor) -> None:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [PATCH]}
    made = await client.responses.create(
        model="m", input=calling(CREATE), tools=[PATCH], tool_choice=choice
    )
    assert len(patches(made)) == 1
