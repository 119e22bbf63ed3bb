"""Variables, user, setup commands and mounts of a container: asked for, refused, in force."""

import asyncio
from dataclasses import replace
from typing import Any, TypeAlias

import httpx2
import openai
import pytest

from sessions.events.types import CallEnded, CallStarted, ContainerState, Output, TurnEnded
from sessions.models import Session
from sessions.runtime.process import Runtime
from sessions.sandbox.setup import MountSource
from tests.api.test_container_exec import new_container, run
from tests.runtime.conftest import Log

Http: TypeAlias = httpx2.AsyncClient
Client: TypeAlias = Any


@pytest.fixture
def offered(sandbox_runtime: Runtime) -> Runtime:
    """An installation whose administrator named two mounts and lets commands be root's."""
    sandbox_runtime.sandboxes.mounts = {
        "models": MountSource("/srv/models"),
        "cache": MountSource("cache-volume", is_writable=True),
    }
    sandbox_runtime.config = replace(sandbox_runtime.config, allows_root=True)
    return sandbox_runtime


@pytest.mark.usefixtures("offered")
async def test_what_was_asked_for_comes_back_but_for_values_of_variables(http: Http) -> None:
    answer = await http.post(
        "/containers",
        json={
            "name": "Harbour",
            "env": {"TOKEN": "hidden-value", "A": "1"},
            "user": "root",
            "setup_commands": ["echo ready"],
            "mounts": [{"name": "models"}, {"name": "cache", "path": "/home/agent/.cache"}],
        },
    )
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert made["env_names"] == ["A", "TOKEN"]
    assert (made["user"], made["setup_commands"]) == ("root", ["echo ready"])
    assert made["mounts"] == [
        {"name": "models", "path": "/mnt/models", "mode": "ro"},
        {"name": "cache", "path": "/home/agent/.cache", "mode": "rw"},
    ]
    assert "hidden-value" not in answer.text
    session = await Session.objects.aget()
    assert session.setup["env"]["TOKEN"] == "hidden-value"
    logged = "".join(str(body) for body in await Log(session).bodies())
    assert "hidden-value" not in logged


async def test_without_any_of_it_nothing_is_set_up(client: openai.AsyncOpenAI) -> None:
    made = (await client.containers.create(name="Plain")).model_extra or {}
    assert (made["env_names"], made["user"], made["setup_commands"], made["mounts"]) == (
        [],
        "agent",
        [],
        [],
    )
    assert (await Session.objects.aget()).setup == {}


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"env": {"": "x"}}, "env"),
        ({"env": {"A B": "x"}}, "env"),
        ({"env": {"A=": "x"}}, "env"),
        ({"env": {"BERTH_SECRET": "x"}}, "env"),
        ({"env": {"A" * 200: "x"}}, "env"),
        ({"env": {"A": None}}, "env.A"),
        ({"env": {f"A{number}": "x" for number in range(101)}}, "env"),
        ({"env": {"A": "x" * 70_000}}, "env"),
        ({"env": ["A=1"]}, "env"),
        ({"user": "nobody"}, "user"),
        ({"user": "-1"}, "user"),
        ({"user": 65_534}, "user"),
        ({"user": "1:2:3"}, "user"),
        ({"user": True}, "user"),
        ({"setup_commands": "true"}, "setup_commands"),
        ({"setup_commands": [" "]}, "setup_commands[0]"),
        ({"setup_commands": ["true", "x" * 20_000]}, "setup_commands[1]"),
        ({"setup_commands": ["true"] * 17}, "setup_commands"),
        ({"mounts": [{"name": "unknown"}]}, "mounts[0].name"),
        ({"mounts": [{"name": "/etc"}]}, "mounts[0].name"),
        ({"mounts": [{"name": "models", "source": "/etc"}]}, "mounts[0].source"),
        ({"mounts": [{"name": "models", "path": "/"}]}, "mounts[0].path"),
        ({"mounts": [{"name": "models", "path": "relative"}]}, "mounts[0].path"),
        ({"mounts": [{"name": "models", "path": "/mnt/../etc"}]}, "mounts[0].path"),
        ({"mounts": [{"name": "models", "path": "//mnt/x"}]}, "mounts[0].path"),
        ({"mounts": [{"name": "models", "path": "/mnt/x/"}]}, "mounts[0].path"),
        ({"mounts": [{"name": "models", "path": "/workspace"}]}, "mounts[0].path"),
        ({"mounts": [{"name": "models", "path": "/workspace/x"}]}, "mounts[0].path"),
        ({"mounts": [{"name": "models", "path": "/.berth/x"}]}, "mounts[0].path"),
        ({"mounts": [{"name": "models", "path": "/proc/x"}]}, "mounts[0].path"),
        ({"mounts": [{"name": "models", "path": "/sys"}]}, "mounts[0].path"),
        ({"mounts": [{"name": "models", "path": "/dev/shm"}]}, "mounts[0].path"),
        ({"mounts": [{"name": "models", "path": "/mnt"}]}, "mounts[0].path"),
        ({"mounts": [{"name": "models", "path": "/mnt/data/x"}]}, "mounts[0].path"),
        *(
            ({"mounts": [{"name": "models", "path": path}]}, "mounts[0].path")
            for path in ("/.skills", "/.skills/a", "/home", "/home/oai", "/home/oai/skills/a")
        ),
        ({"mounts": [{"name": "models"}, {"name": "models"}]}, "mounts[1].path"),
        (
            {"mounts": [{"name": "models"}, {"name": "cache", "path": "/mnt/models/x"}]},
            "mounts[1].path",
        ),
        ({"mounts": [{"name": "models", "mode": "rw"}]}, "mounts[0].mode"),
    ],
)
@pytest.mark.usefixtures("offered")
async def test_what_cannot_be_is_refused_by_name(
    http: Http, options: dict[str, Any], param: str
) -> None:
    answer = await http.post("/containers", json={"name": "Harbour", **options})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param
    assert not await Session.objects.aexists()


@pytest.mark.parametrize("user", ["root", 0, "0:0", "1000:0", "0:1000"])
async def test_root_is_for_installations_that_allow_it(http: Http, user: str | int) -> None:
    answer = await http.post("/containers", json={"name": "Harbour", "user": user})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "user")


@pytest.mark.usefixtures("offered")
async def test_commands_run_as_the_user_that_was_asked_for(http: Http) -> None:
    root = await run(http, await new_container(http, user="root"), "id -u; id -g; echo $HOME")
    assert root["stdout"] == "0\n0\n/root\n"
    other = await run(http, await new_container(http, user="2000"), "id -u; id -g; echo $USER")
    assert other["stdout"] == "2000\n1000\n2000\n"


async def test_setup_runs_once_in_order_before_anything_else(http: Http) -> None:
    container = await new_container(
        http, env={"WHO": "Elbe"}, setup_commands=["echo $WHO > a", "cat a; echo b >> a"]
    )
    assert (await run(http, container, "cat a"))["stdout"] == "Elbe\nb\n"
    assert (await run(http, container, "cat a"))["stdout"] == "Elbe\nb\n"
    session = await Session.objects.aget()
    started = await Log(session).of(CallStarted)
    assert [one.tool for one in started] == ["setup", "setup", "exec", "exec"]
    assert (await Log(session).of(Output))[0].content == b"Elbe\n"


async def test_it_runs_again_in_every_new_container(http: Http) -> None:
    container = await new_container(http, setup_commands=["echo x >> made"])
    await run(http, container, "true")
    assert (await http.post(f"/containers/{container}/suspend")).json()["state"] == "suspended"
    assert (await run(http, container, "cat made"))["stdout"] == "x\nx\n"


async def test_several_at_once_wait_for_the_same_setup(http: Http) -> None:
    container = await new_container(http, setup_commands=["sleep 0.3; echo x >> made"])
    results = await asyncio.gather(*(run(http, container, "cat made") for _ in range(4)))
    assert {result["stdout"] for result in results} == {"x\n"}


async def test_a_setup_that_fails_is_told_and_begins_anew_with_the_next_use(http: Http) -> None:
    container = await new_container(
        http, setup_commands=["true", "echo no such ship >&2; [ -e ok ]", "echo never"]
    )
    answer = await http.post(f"/containers/{container}/exec", json={"command": "true"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "setup_failed")
    assert "Setup command 2 of 3 ended with exit code 1. It said: no such ship" in error["message"]
    shown = (await http.get(f"/containers/{container}")).json()
    assert (shown["status"], shown["state"]) == ("failed", "failed")
    session = await Session.objects.aget()
    states = [body for body in await Log(session).of(ContainerState) if body.state == "failed"]
    assert "exit code 1" in states[0].reason
    form = {"file": ("ok", b"")}
    assert (await http.post(f"/containers/{container}/files", files=form)).status_code == 200
    assert (await run(http, container, "echo fine"))["stdout"] == "fine\n"
    assert (await http.get(f"/containers/{container}")).json()["status"] == "running"


async def test_a_setup_has_the_time_of_a_command(http: Http) -> None:
    container = await new_container(http, setup_commands=["sleep 60"])
    session = await Session.objects.aget()
    await Session.objects.aupdate(limits={**session.limits, "command_timeout_s": 0.3})
    answer = await http.post(f"/containers/{container}/exec", json={"command": "true"})
    assert "took longer than 0.3 s" in answer.json()["error"]["message"]


@pytest.mark.usefixtures("supervisor")
async def test_a_response_runs_in_what_its_container_was_set_up_with(client: Client) -> None:
    environment = {
        "type": "container_auto",
        "env": {"WHO": "hidden-value"},
        "setup_commands": ["echo set up > made"],
    }
    response = await client.responses.create(
        model="scripted",
        input="Go.\n```bash\ncat made; echo ${#WHO}\n```",
        tools=[{"type": "shell", "environment": environment}],
    )
    output = next(item for item in response.output if item.type == "shell_call_output")
    assert output.output[0].stdout == "set up\n12\n"
    assert "hidden-value" not in response.model_dump_json()


@pytest.mark.usefixtures("supervisor")
async def test_a_response_whose_setup_fails_says_why(client: Client) -> None:
    response = await client.responses.create(
        model="scripted",
        input="Go.\n```bash\necho never\n```",
        tools=[
            {
                "type": "shell",
                "environment": {"type": "container_auto", "setup_commands": ["exit 7"]},
            }
        ],
    )
    assert response.status == "failed"
    assert "Setup command 1 of 1 ended with exit code 7" in response.error.message


@pytest.mark.usefixtures("supervisor")
async def test_stop_ends_a_setup_as_well(client: Client) -> None:
    response = await client.responses.create(
        model="scripted",
        input="Go.\n```bash\necho never\n```",
        background=True,
        tools=[
            {
                "type": "shell",
                "environment": {"type": "container_auto", "setup_commands": ["sleep 300"]},
            }
        ],
    )
    session = await Session.objects.aget()
    await Log(session).wait_for(lambda body: isinstance(body, CallStarted))
    await client.responses.cancel(response.id)
    ended = await Log(session).wait_for(lambda body: isinstance(body, CallEnded))
    assert ended.ending["kind"] == "stopped"
    end = await Log(session).wait_for(lambda body: isinstance(body, TurnEnded))
    assert end.reason == "stopped"
    stopped = (await Log(session).of(ContainerState))[-1]
    assert (stopped.state, "stopped" in stopped.reason) == ("suspended", True)


@pytest.mark.usefixtures("supervisor")
async def test_options_of_container_auto_are_refused_by_their_whole_name(client: Client) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.responses.create(
            model="scripted",
            input="Go.",
            tools=[{"type": "shell", "environment": {"type": "container_auto", "user": "root"}}],
        )
    assert raised.value.param == "tools[0].environment.user"
