"""The code interpreter by the official client: calls, their events, what is kept between them."""

import dataclasses
import json
from typing import Any, TypeAlias

import pytest

from sessions.models import ApiResponse, ContainerState, Session
from sessions.runtime.process import Runtime
from tests.providers.wire_server import RECORDINGS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]
Client: TypeAlias = Any
CODE: Any = {"type": "code_interpreter", "container": {"type": "auto"}}
SHELL: Any = {"type": "shell"}
OUTPUTS: Any = ["code_interpreter_call.outputs"]
RECORDING = RECORDINGS / "openai-code-interpreter.1.chunks.txt"


def script(*blocks: str) -> str:
    """Each is run after the one before it has ended."""
    return "\n---\n".join(f"```call python\n{code}\n```" for code in blocks)


async def ask(client: Client, text: str, **options: Any) -> Any:
    given = {"model": "m", "input": text, "tools": [CODE], "include": OUTPUTS, **options}
    return await client.responses.create(**given)


def calls_of(response: Any) -> list[Any]:
    return [item for item in response.output if item.type == "code_interpreter_call"]


def logs_of(response: Any) -> list[str]:
    return ["".join(o.logs for o in call.outputs or ()) for call in calls_of(response)]


async def test_code_runs_and_its_last_value_comes_back(client: Client) -> None:
    made = await ask(client, script("x = 41\nprint('hello')\nx + 1"))
    assert made.status == "completed"
    assert [item.type for item in made.output] == ["code_interpreter_call", "message"]
    (call,) = calls_of(made)
    assert call.code == "x = 41\nprint('hello')\nx + 1\n"
    assert call.status == "completed"
    assert [o.to_dict() for o in call.outputs] == [{"type": "logs", "logs": "hello\n42\n"}]
    session = await Session.objects.aget()
    assert call.container_id == f"cntr_{session.id.hex}"
    (tool,) = made.to_dict()["tools"]
    assert tool == CODE, "given back as it came, as in the recording"
    again = await client.responses.retrieve(made.id)
    assert again.to_dict() == made.to_dict()


async def test_variables_stay_within_a_turn_and_between_turns(client: Client) -> None:
    first = await ask(client, script("import os\nx = 1\nos.chdir('/')", "x += 1\nx, os.getcwd()"))
    assert logs_of(first) == ["", "(2, '/')\n"]
    second = await ask(client, script("x"), previous_response_id=first.id)
    assert logs_of(second) == ["2\n"]
    assert calls_of(second)[0].container_id == calls_of(first)[0].container_id


async def test_events_come_in_the_order_of_the_recording(client: Client) -> None:
    recorded = [
        json.loads(line.removeprefix("data: "))
        for line in RECORDING.read_text().splitlines()
        if line.strip()
    ]
    is_of_code = [e for e in recorded if e.get("output_index") == 1]
    expected = list(dict.fromkeys(event["type"] for event in is_of_code))
    stream = await ask(client, script("1 + 1"), stream=True)
    events = [event.to_dict() async for event in stream]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    of_code = [event for event in events if event.get("output_index") == 0]
    assert [event["type"] for event in of_code] == expected
    added, done = of_code[0]["item"], of_code[-1]["item"]
    assert added.keys() == is_of_code[0]["item"].keys()
    assert (added["code"], added["outputs"], added["status"]) == ("", [], "in_progress")
    assert done["outputs"] == [{"type": "logs", "logs": "2\n"}]
    assert {event["item_id"] for event in of_code[1:-1]} == {done["id"]}
    response_id = events[0]["response"]["id"]
    again = await client.responses.retrieve(response_id, stream=True)
    assert [event.to_dict() async for event in again] == events, "the same whenever it is told"


async def test_outputs_are_shown_only_to_those_who_ask(client: Client) -> None:
    made = await ask(client, script("'sec' + 'ret'"), include=[])
    assert calls_of(made)[0].outputs is None
    assert "secret" not in json.dumps(made.to_dict())
    seen = await client.responses.retrieve(made.id, include=OUTPUTS)
    assert logs_of(seen) == ["'secret'\n"]
    for include, logs in ((), ""), (OUTPUTS, "'secret'\n"):
        stream = await client.responses.retrieve(made.id, stream=True, include=include)
        async for event in stream:
            if event.type == "response.output_item.done" and hasattr(event.item, "code"):
                assert "".join(o.logs for o in event.item.outputs or ()) == logs


async def test_items_of_a_conversation_hide_outputs_as_well(client: Client) -> None:
    conversation = await client.conversations.create()
    await ask(client, script("'secret'"), include=[], conversation=conversation.id)
    for include, logs in ((), ""), (OUTPUTS, "'secret'\n"):
        items = await client.conversations.items.list(conversation.id, include=include)
        (call,) = [item for item in items.data if item.type == "code_interpreter_call"]
        assert "".join(o.logs for o in call.outputs or ()) == logs
        one = await client.conversations.items.retrieve(
            call.id, conversation_id=conversation.id, include=include
        )
        assert one.to_dict() == call.to_dict()


async def test_a_conversation_goes_on_in_its_container(client: Client) -> None:
    conversation = await client.conversations.create()
    await ask(client, script("x = 1"), conversation=conversation.id)
    again = await ask(client, script("x"), conversation=conversation.id)
    assert logs_of(again) == ["1\n"]
    assert await Session.objects.acount() == 1


ERRORS = {
    "1/0": ("Traceback (most recent call last):", "ZeroDivisionError: division by zero"),
    "def (": ("SyntaxError",),
    "input('name? ')": ("EOFError",),
    "import sys\nprint('before')\nsys.exit('gone')": ("before", "gone"),
    "raise KeyboardInterrupt": ("KeyboardInterrupt",),
}


@pytest.mark.parametrize("code", ERRORS)
async def test_errors_are_told_without_what_runs_the_code(client: Client, code: str) -> None:
    made = await ask(client, script(code, "'still there'"))
    told, after = logs_of(made)
    assert [word for word in ERRORS[code] if word not in told] == []
    assert "berth" not in told
    assert after == "'still there'\n"
    assert [call.status for call in calls_of(made)] == ["completed", "completed"]


PRINTS = {
    "import subprocess\nprint('a')\nsubprocess.run('echo b; echo c >&2', shell=True)\nprint('d');": (
        "a\nb\nc\nCompletedProcess(args='echo b; echo c >&2', returncode=0)\nd\n"
    ),
    "import os\nos.write(2, b'raw\\n');": "raw\n",
    "await __import__('asyncio').sleep(0, 'awaited')": "'awaited'\n",
    "print('é \\ud800')": "é \\ud800\n",
    "x = 5;": "",
    "None": "",
    "display(1, 'two')": "1\n'two'\n",
    "import sys\nsys.stdout.close()": "",
    "import threading\nt = threading.Thread(target=print, args=('thread',))\nt.start(); t.join()": (
        "thread\n"
    ),
}


@pytest.mark.parametrize("code", PRINTS)
async def test_what_is_printed_comes_in_its_order(client: Client, code: str) -> None:
    made = await ask(client, script(code, "print('after')"))
    expected = PRINTS[code].replace(
        "CompletedProcess(args='echo b; echo c >&2', returncode=0)\n", ""
    )
    assert logs_of(made) == [expected, "after\n"]


async def test_endless_output_is_kept_as_head_and_tail(client: Client) -> None:
    made = await ask(client, script("for i in range(100_000): print(i)"))
    (logs,) = logs_of(made)
    assert logs.startswith("0\n1\n")
    assert logs.endswith("\n99999\n")
    assert "bytes omitted" in logs
    assert len(logs) < 20_000


async def test_a_crash_is_told_and_the_next_call_begins_anew(client: Client) -> None:
    crash = "import os, signal\nx = 1\nos.kill(os.getpid(), signal.SIGSEGV)"
    made = await ask(client, script("x = 0", crash, "'x' in globals()"))
    told = logs_of(made)
    assert "killed by SIGSEGV" in told[1]
    assert "Variables and imports are gone" in told[1]
    assert told[2] == "False\n"


async def test_the_time_limit_interrupts_code_and_keeps_its_variables(
    client: Client, sandbox_runtime: Runtime
) -> None:
    limits = dataclasses.replace(sandbox_runtime.limits_default, command_timeout_s=1.0)
    sandbox_runtime.config = dataclasses.replace(sandbox_runtime.config, limits_default=limits)
    made = await ask(client, script("x = 1", "while True: x += 1", "x > 1"))
    first, second, third = calls_of(made)
    assert [first.status, second.status, third.status] == ["completed", "failed", "completed"]
    told = logs_of(made)
    assert "KeyboardInterrupt" in told[1] or told[1].startswith("[timed out")
    assert told[1].endswith("[timed out after 1 s]")
    assert told[2] == "True\n"


PNG = (
    "import base64\n"
    "class Dot:\n"
    "    def _repr_png_(self):\n"
    "        return b'\\x89PNG\\r\\n\\x1a\\n' + b'0' * {size}\n"
    "Dot()"
)


async def test_pictures_come_as_data_urls(client: Client) -> None:
    made = await ask(client, script(PNG.replace("{size}", "10")))
    (output,) = calls_of(made)[0].outputs
    assert output.type == "image"
    assert output.url.startswith("data:image/png;base64,iVBORw0KGgo")


async def test_a_picture_that_is_too_large_is_left_out(client: Client) -> None:
    made = await ask(client, script(PNG.replace("{size}", "2_000_000")))
    (logs,) = logs_of(made)
    assert "left out" in logs


async def test_calls_of_one_step_run_one_after_the_other(client: Client) -> None:
    both = script("import time\ntime.sleep(0.3)\nx = 1").replace("\n---\n", "\n")
    made = await ask(client, f"{both}\n{script('x')}")
    assert logs_of(made) == ["", "1\n"]


async def test_arguments_as_json_are_taken_as_well(client: Client) -> None:
    made = await ask(client, '```call python\n{"code": "1 + 1"}\n```')
    assert logs_of(made) == ["2\n"]
    cut = await ask(client, '```call python\n{"code": "1 +\n```')
    assert "not valid JSON" in logs_of(cut)[0]
    assert calls_of(cut)[0].status == "failed"


# Together with the shell, and what it goes on from


async def test_the_shell_works_in_the_same_container(client: Client) -> None:
    text = "```call python\nopen('a', 'w').write('from python');\n```\n---\n```bash\ncat a\n```"
    made = await ask(client, text, tools=[SHELL, CODE])
    kinds = [item.type for item in made.output]
    assert kinds == ["code_interpreter_call", "shell_call", "shell_call_output", "message"]
    shell, output = made.output[1:3]
    assert output.output[0].stdout == "from python"
    assert shell.environment.container_id == calls_of(made)[0].container_id


async def test_files_of_both_tools_are_given_once(client: Client) -> None:
    sent = await client.files.create(file=("a.csv", b"1"), purpose="user_data")
    files = {"file_ids": [sent.id]}
    tools = [
        {"type": "shell", "environment": {"type": "container_auto", **files}},
        {"type": "code_interpreter", "container": {"type": "auto", **files}},
    ]
    made = await ask(client, script("import os; os.listdir()"), tools=tools)
    assert logs_of(made) == ["['a.csv']\n"]


async def test_another_container_begins_anew_and_says_so(
    client: Client, sandbox_runtime: Runtime
) -> None:
    first = await ask(client, script("open('kept', 'w').write('file'); x = 1"))
    session = await Session.objects.aget()
    await sandbox_runtime.sandboxes.discard(session, ContainerState.DISCONNECTED, "For a test.")
    second = await ask(
        client, script("'x' in globals(), open('kept').read()"), previous_response_id=first.id
    )
    (logs,) = logs_of(second)
    assert "started anew" in logs
    assert logs.endswith("(False, 'file')\n")
    assert calls_of(second)[0].container_id == calls_of(first)[0].container_id


async def test_without_the_shell_no_command_runs(client: Client) -> None:
    made = await ask(client, "```bash\necho no\n```")
    assert [item.type for item in made.output] == ["message"]
    plain = await client.responses.create(model="m", input="```call python\n1\n```", tools=[SHELL])
    assert calls_of(plain) == []


async def test_a_container_can_be_named(client: Client) -> None:
    container = await client.containers.create(name="mine")
    tool = {"type": "code_interpreter", "container": container.id}
    made = await ask(client, script("1"), tools=[tool])
    assert calls_of(made)[0].container_id == container.id
    assert made.to_dict()["tools"] == [tool]
    reference = {"type": "container_reference", "container_id": container.id}
    both = [{"type": "shell", "environment": reference}, CODE]
    again = await ask(client, script("2"), tools=both)
    assert calls_of(again)[0].container_id == container.id


async def test_a_program_that_keeps_the_conversation_goes_on_with_its_variables(
    client: Client,
) -> None:
    first = await ask(client, script("x = 7"), include=[])
    items = [item.to_dict() for item in first.output]
    said = {"role": "user", "content": script("x")}
    second = await client.responses.create(
        model="m", input=[*items, said], tools=[CODE], include=OUTPUTS
    )
    assert logs_of(second) == ["7\n"]
    assert calls_of(second)[0].container_id == calls_of(first)[0].container_id


async def test_a_call_sent_back_brings_its_output_along(client: Client) -> None:
    """Whether the program had asked to see that or not."""
    first = await ask(client, script("'seen by the model'"), include=[])
    items = [item.to_dict() for item in first.output]
    second = await ask(client, "x", input=[*items, {"role": "user", "content": "And?"}])
    kept = await ApiResponse.objects.aget(id=second.id.removeprefix("resp_"))
    (call,) = [item for item in kept.input if item["type"] == "code_interpreter_call"]
    assert call["outputs"] == [{"type": "logs", "logs": "'seen by the model'\n"}]
    listed = await client.responses.input_items.list(second.id)
    assert calls_of(type("R", (), {"output": listed.data}))[0].outputs is None


async def test_a_call_of_another_service_is_taken_as_history(client: Client) -> None:
    call = {
        "type": "code_interpreter_call",
        "id": "ci_" + "6" * 60,
        "container_id": "cntr_elsewhere",
        "code": "1",
        "status": "completed",
        "outputs": [{"type": "logs", "logs": "1"}],
    }
    made = await ask(client, "x", input=[call, {"role": "user", "content": script("2")}])
    assert logs_of(made) == [
        "[The interpreter was started anew: variables and imports of earlier calls are gone.]\n2\n"
    ]


async def test_files_are_put_into_the_container(client: Client) -> None:
    sent = await client.files.create(file=("a.csv", b"1,2\n"), purpose="user_data")
    tool = {"type": "code_interpreter", "container": {"type": "auto", "file_ids": [sent.id]}}
    made = await ask(client, script("open('a.csv').read()"), tools=[tool])
    assert logs_of(made) == ["'1,2\\n'\n"]
    assert made.to_dict()["tools"] == [tool]


async def test_it_can_be_chosen_and_allowed(client: Client) -> None:
    choice: Any = {"type": "code_interpreter"}
    made = await ask(client, script("1"), tool_choice=choice)
    assert logs_of(made) == ["1\n"]
    assert made.to_dict()["tool_choice"] == choice
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [SHELL]}
    without = await ask(client, script("1"), tools=[SHELL, CODE], tool_choice=allowed)
    assert "no tool 'python'" in logs_of(without)[0]


async def test_calls_beyond_the_limit_are_not_run(client: Client) -> None:
    made = await ask(client, script("1", "2"), max_tool_calls=1)
    first, second = logs_of(made)
    assert first == "1\n"
    assert "used up" in second


async def test_long_code_is_run_and_longer_code_refused(client: Client) -> None:
    long = f"x = '{'é' * 59_000}'\nlen(x)"
    made = await ask(client, script(long, f"'{'x' * 130_000}'"))
    told = logs_of(made)
    assert told[0] == "59000\n"
    assert "too long" in told[1]
