"""What is refused of a code interpreter, and to whom."""

from typing import Any

import openai
import pytest

from sessions.models import ApiResponse, Session
from tests.api.test_code_interpreter import CODE, Client, ask, calls_of, script

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]


def auto(**options: Any) -> Any:
    return {"type": "code_interpreter", "container": {"type": "auto", **options}}


REFUSED: dict[str, tuple[list[Any], str]] = {
    "no container": ([{"type": "code_interpreter"}], "tools[0].container"),
    "twice": ([CODE, CODE], "tools[1]"),
    "network": (
        [auto(network_policy={"type": "allowlist", "allowed_domains": ["a.example"]})],
        "tools[0].container.network_policy.type",
    ),
    "memory": ([auto(memory_limit="64g")], "tools[0].container.memory_limit"),
    "skills": ([auto(skills=[])], "tools[0].container.skills"),
    "a function of its name": (
        [CODE, {"type": "function", "name": "python", "parameters": {}}],
        "tools[1].name",
    ),
    "two containers": (
        [
            {
                "type": "shell",
                "environment": {"type": "container_reference", "container_id": "cntr_1"},
            },
            {"type": "code_interpreter", "container": "cntr_2"},
        ],
        "tools[1].container",
    ),
    "options that differ": (
        [
            {"type": "shell", "environment": {"type": "container_auto", "memory_limit": "1g"}},
            auto(cpus=1),
        ],
        "tools[1].container",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_had_is_refused_by_name(client: Client, case: str) -> None:
    tools, param = REFUSED[case]
    with pytest.raises(openai.BadRequestError) as refused:
        await ask(client, "x", tools=tools)
    assert refused.value.param == param
    assert not await Session.objects.aexists()


async def test_without_the_interpreter_a_function_may_be_called_python(client: Client) -> None:
    function = {"type": "function", "name": "python", "parameters": {}, "strict": False}
    made = await ask(client, '```call python\n{"a": 1}\n```', tools=[function])
    assert [item.type for item in made.output] == ["function_call"]


async def test_nobody_else_gets_at_it(client: Client, bobs_client: Client, client_of: Any) -> None:
    container = await client.containers.create(name="mine")
    tool = {"type": "code_interpreter", "container": container.id}
    made = await ask(client, script("'mine'"), tools=[tool], include=[])
    missing = {"type": "code_interpreter", "container": "cntr_" + "0" * 32}
    messages = []
    for named in (tool, missing):
        with pytest.raises(openai.NotFoundError) as refused:
            await ask(bobs_client, "x", tools=[named])
        messages.append(refused.value.message.replace(container.id, "X"))
    assert messages[0] == messages[1].replace(missing["container"], "X")
    with pytest.raises(openai.AuthenticationError):
        await ask(client_of("berth_none"), "x")
    # An id alone does not bring out what the code printed, nor where it ran.
    call = {**calls_of(made)[0].to_dict(), "outputs": None}
    theirs = await ask(bobs_client, "x", input=[call, {"role": "user", "content": script("1")}])
    kept = await ApiResponse.objects.aget(id=theirs.id.removeprefix("resp_"))
    assert kept.input[0]["outputs"] is None
    assert calls_of(theirs)[0].container_id != container.id
