"""The OpenAI Agents SDK as it is, by changing the base URL: its tools, its sessions, its streams."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import agents
import openai
import pytest

from tests.api.test_skills import manifest, zipped
from tests.serve.server_process import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.docker]
HOSTED = agents.ShellTool(environment={"type": "container_auto"})


@pytest.fixture(autouse=True)
async def _berth_as_the_endpoint(api_server: ServerProcess, api_key: str) -> AsyncIterator[None]:
    agents.set_tracing_disabled(True)
    client = openai.AsyncOpenAI(
        api_key=api_key,
        base_url=f"{api_server.url}/v1",
        max_retries=0,
        _strict_response_validation=True,
    )
    agents.set_default_openai_client(client, use_for_tracing=False)
    yield
    await client.close()


def agent(*tools: Any) -> agents.Agent[Any]:
    return agents.Agent(
        name="Harbour master", model="gpt-5.5", instructions="Be brief.", tools=list(tools)
    )


def kinds(result: agents.RunResult) -> list[str]:
    return [type(item).__name__ for item in result.new_items]


async def test_its_hosted_shell_runs_in_a_container_here() -> None:
    result = await agents.Runner.run(agent(HOSTED), "```bash\necho hello; uname\n```")
    assert kinds(result) == ["ToolCallItem", "ToolCallOutputItem", "MessageOutputItem"]
    assert "exit code 0" in result.final_output
    output: Any = result.new_items[1].raw_item
    assert output["output"][0]["stdout"] == "hello\nLinux\n"


async def test_its_local_shell_runs_where_the_program_is() -> None:
    asked: list[str] = []

    async def run(request: agents.ShellCommandRequest) -> agents.ShellResult:
        asked.extend(request.data.action.commands)
        outcome = agents.ShellCallOutcome(type="exit", exit_code=0)
        output = agents.ShellCommandOutput(stdout="at home\n", stderr="", outcome=outcome)
        return agents.ShellResult(output=[output for _ in request.data.action.commands])

    local = agents.ShellTool(executor=run)
    result = await agents.Runner.run(agent(local), "```bash\necho at home\n```")
    assert asked == ["echo at home"]
    assert "exit code 0" in result.final_output


async def test_its_functions_are_called_and_answered() -> None:
    @agents.function_tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    result = await agents.Runner.run(agent(add), 'Hm.\n```call add\n{"a": 1, "b": 2}\n```')
    outputs = [i for i in result.new_items if isinstance(i, agents.ToolCallOutputItem)]
    assert [output.output for output in outputs] == [3]


async def test_its_sessions_and_streams_go_on_in_one_container() -> None:
    memory = agents.SQLiteSession("harbour")
    printed = ""
    for text in ("```bash\necho kept > file\n```", "```bash\ncat file\n```"):
        run = agents.Runner.run_streamed(agent(HOSTED), text, session=memory)
        async for event in run.stream_events():
            if event.type == "raw_response_event":
                data: Any = event.data
                if data.type == "response.shell_call_output_content.delta":
                    printed += data.delta.stdout or ""
        assert "exit code 0" in run.final_output
    assert printed == "kept\n"


async def test_it_goes_on_by_the_id_of_the_response_before() -> None:
    first = await agents.Runner.run(agent(HOSTED), "```bash\necho kept > file\n```")
    second = await agents.Runner.run(
        agent(HOSTED), "```bash\ncat file\n```", previous_response_id=first.last_response_id
    )
    output: Any = next(
        item.raw_item for item in second.new_items if isinstance(item, agents.ToolCallOutputItem)
    )
    assert output["output"][0]["stdout"] == "kept\n"


async def test_its_skills_are_in_the_container() -> None:
    data = base64.b64encode(zipped({"t/SKILL.md": manifest("tides", "Tells the tide.")})).decode()
    source: Any = {"type": "base64", "media_type": "application/zip", "data": data}
    skill: Any = {"type": "inline", "name": "tides", "description": "Tides.", "source": source}
    shell = agents.ShellTool(environment={"type": "container_auto", "skills": [skill]})
    script = "```bash\nhead -2 /home/oai/skills/tides-*/SKILL.md\n```"
    first = await agents.Runner.run(agent(shell), script)
    second = await agents.Runner.run(
        agent(shell), script, previous_response_id=first.last_response_id
    )
    for result in (first, second):
        output: Any = result.new_items[1].raw_item
        assert output["output"][0]["stdout"] == "---\nname: tides\n"


async def test_its_code_interpreter_keeps_its_variables() -> None:
    tool = agents.CodeInterpreterTool({"type": "code_interpreter", "container": {"type": "auto"}})
    memory = agents.SQLiteSession("interpreter")
    calls: list[Any] = []
    for code in ("x = 'kept'", "open('file', 'w').write(x)"):
        result = await agents.Runner.run(
            agent(tool), f"```call python\n{code}\n```", session=memory
        )
        assert kinds(result) == ["ToolCallItem", "MessageOutputItem"]
        calls.append(result.new_items[0].raw_item)
    assert [call.code for call in calls] == ["x = 'kept'\n", "open('file', 'w').write(x)\n"]
    assert [call.status for call in calls] == ["completed", "completed"]
    assert calls[0].container_id == calls[1].container_id
    shell = await agents.Runner.run(agent(HOSTED), "```bash\ncat file\n```", session=memory)
    output: Any = shell.new_items[1].raw_item
    assert output["output"][0]["stdout"] == "kept"
