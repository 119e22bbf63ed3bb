"""One command for a program: what comes back, what is refused, and what others see of it."""

import asyncio
import base64
import json
import uuid
from typing import Any, TypeAlias

import httpx2
import pytest

from sessions.events import log
from sessions.events.types import CallEnded, CallStarted, Output, OutputDropped
from sessions.models import OpenExec, Session
from sessions.responses.ids import CONTAINER, format_id
from sessions.runtime.execs import MAX_OPEN_EXECS, ExecSpec
from sessions.runtime.process import Runtime
from sessions.runtime.request_bodies import SpoolingHandler
from sessions.runtime.wiring import runtime
from tests.api.conftest import HttpOf, events_in
from tests.runtime.conftest import Log

Http: TypeAlias = httpx2.AsyncClient


async def new_container(http: Http, **options: Any) -> str:
    answer = await http.post("/containers", json={"name": "Harbour", **options})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def run(http: Http, container: str, command: str | list[str], **options: Any) -> Any:
    answer = await http.post(f"/containers/{container}/exec", json={"command": command, **options})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_command_comes_back_with_what_it_printed_and_how_it_ended(http: Http) -> None:
    container = await new_container(http)
    done = await run(http, container, "echo out; echo err >&2; exit 3")
    assert (done["object"], done["container_id"]) == ("container.exec", container)
    assert (done["stdout"], done["stderr"], done["status"]) == ("out\n", "err\n", "completed")
    assert done["outcome"] == {"type": "exit", "exit_code": 3}
    assert done["ending"]["kind"] == "exit"
    assert not done["stdout_truncated"]
    assert done["live_url"].startswith("http")
    assert not await OpenExec.objects.aexists()


async def test_it_is_logged_as_it_runs_like_any_other(http: Http) -> None:
    container = await new_container(http)
    done = await run(http, container, ["printf", "%s", "a b"])
    session = await Session.objects.aget()
    bodies = await Log(session).bodies()
    started = next(body for body in bodies if isinstance(body, CallStarted))
    assert (started.tool, started.command) == ("exec", "printf %s 'a b'")
    assert started.call_id == done["id"]
    printed = [body.content for body in bodies if isinstance(body, Output)]
    assert printed == [b"a b"]
    assert isinstance(bodies[-1], CallEnded)


async def test_words_run_as_they_are(http: Http) -> None:
    done = await run(http, await new_container(http), ["echo", "$HOME", "; exit 4"])
    assert (done["stdout"], done["outcome"]["exit_code"]) == ("$HOME ; exit 4\n", 0)


async def test_input_folder_and_variables_reach_it(http: Http) -> None:
    container = await new_container(http, env={"A": "container", "B": "kept"})
    done = await run(
        http,
        container,
        "cat; pwd; echo $A $B",
        stdin="Elbe\n",
        cwd="/tmp",
        env={"A": "command"},
    )
    assert done["stdout"] == "Elbe\n/tmp\ncommand kept\n"


async def test_more_input_than_a_pipe_holds_goes_through(http: Http) -> None:
    container = await new_container(http)
    done = await run(http, container, "sleep 0.1; wc -c", stdin="x" * 3_000_000)
    assert done["stdout"].strip() == "3000000"
    done = await run(http, container, "true", stdin="x" * 3_000_000)
    assert done["outcome"]["exit_code"] == 0


async def test_bytes_that_are_no_text_go_in_and_come_out_in_base64(http: Http) -> None:
    data = bytes(range(256))
    done = await run(
        http,
        await new_container(http),
        "cat",
        stdin=base64.b64encode(data).decode(),
        encoding="base64",
    )
    assert base64.b64decode(done["stdout"]) == data


async def test_of_much_output_the_first_is_given_and_the_log_has_all(http: Http) -> None:
    container = await new_container(http)
    done = await run(http, container, "seq 100000", max_output_bytes=10)
    assert (done["stdout"], done["stdout_truncated"]) == ("1\n2\n3\n4\n5\n", True)
    assert not done["stderr_truncated"]
    session = await Session.objects.aget()
    ended = (await Log(session).of(CallEnded))[0]
    assert ended.stdout_bytes == 588_895


async def test_time_that_is_up_ends_it(http: Http) -> None:
    done = await run(http, await new_container(http), "echo a; sleep 60", timeout_ms=300)
    assert done["outcome"] == {"type": "timeout"}
    assert (done["stdout"], done["ending"]["timeout_s"]) == ("a\n", 0.3)


async def test_what_a_signal_ended_says_so(http: Http) -> None:
    done = await run(http, await new_container(http), "kill -TERM $$")
    assert done["outcome"] == {"type": "exit", "exit_code": 143}
    assert done["ending"]["signal"] == "SIGTERM"


@pytest.mark.parametrize(
    ("command", "exit_code"), [(["no-such-program"], 127), (["/etc/passwd"], 126)]
)
async def test_what_cannot_start_ends_as_in_a_shell(
    http: Http, command: list[str], exit_code: int
) -> None:
    done = await run(http, await new_container(http), command)
    assert done["outcome"]["exit_code"] == exit_code
    assert command[0] in done["stderr"]


async def test_a_stream_has_all_of_it_in_order(http: Http) -> None:
    container = await new_container(http)
    answer = await http.post(
        f"/containers/{container}/exec",
        json={"command": "printf 'h\\303'; sleep 0.2; printf '\\251'; echo x >&2", "stream": True},
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_in(answer.text)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (events[0]["type"], events[-1]["type"]) == ("exec.started", "exec.completed")
    said = {"stdout": "", "stderr": ""}
    for event in events[1:-1]:
        said[event["stream"]] += event["delta"]
    assert said == {"stdout": "hé", "stderr": "x\n"}
    assert events[-1]["exec"]["outcome"] == {"type": "exit", "exit_code": 0}
    assert events[-1]["exec"]["id"] == events[0]["exec"]["id"]


async def test_long_output_is_streamed_whole(http: Http) -> None:
    container = await new_container(http)
    answer = await http.post(
        f"/containers/{container}/exec", json={"command": "seq 300000", "stream": True}
    )
    text = "".join(event.get("delta", "") for event in events_in(answer.text))
    assert text == "".join(f"{number}\n" for number in range(1, 300_001))


async def leave_during(
    http: Http, path: str, body: dict[str, Any], leaving: asyncio.Event
) -> None:
    """Ask, and be gone as soon as `leaving` is set."""
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": json.dumps(body).encode()}
        await leaving.wait()
        return {"type": "http.disconnect"}

    async def send(_message: dict[str, Any]) -> None:
        return

    headers = [
        (b"host", b"testserver"),
        (b"authorization", http.headers["authorization"].encode()),
        (b"content-type", b"application/json"),
    ]
    scope = {"type": "http", "method": "POST", "path": f"/v1{path}", "headers": headers}
    app: Any = SpoolingHandler()
    await app({**scope, "query_string": b"", "http_version": "1.1"}, receive, send)


@pytest.mark.parametrize("stream", [False, True])
async def test_who_goes_away_stops_it(http: Http, *, stream: bool) -> None:
    container = await new_container(http)
    leaving = asyncio.Event()
    body = {"command": "echo up; sleep 300", "stream": stream}
    asking = asyncio.create_task(
        leave_during(http, f"/containers/{container}/exec", body, leaving)
    )
    session = await Session.objects.aget()
    await Log(session).wait_for(lambda body: isinstance(body, Output))
    leaving.set()
    ended = await Log(session).wait_for(lambda body: isinstance(body, CallEnded))
    assert ended.ending["kind"] == "stopped"
    await asking


async def unheard(_piece: Output | OutputDropped) -> None:
    """Nobody listens."""


async def test_what_runs_when_the_server_stops_is_ended_and_said_to_be(
    http: Http, sandbox_runtime: Runtime
) -> None:
    await new_container(http)
    session = await Session.objects.select_related("owner").aget()
    running = await sandbox_runtime.execs.start(
        session, ExecSpec("echo a; sleep 300", 600), unheard
    )
    await Log(session).wait_for(lambda body: isinstance(body, Output))
    await sandbox_runtime.execs.aclose()
    assert running.ended.result().ending["kind"] == "stopped"


async def test_what_a_killed_server_left_is_ended_by_the_next(
    http: Http, sandbox_runtime: Runtime
) -> None:
    await new_container(http)
    session = await Session.objects.select_related("owner").aget()
    running = await sandbox_runtime.execs.start(
        session, ExecSpec("echo a; sleep 300", 600), unheard
    )
    await Log(session).wait_for(lambda body: isinstance(body, Output))
    running.ended.cancel()  # as a process that dies: nothing more is noted
    await asyncio.gather(running.ended, return_exceptions=True)
    row = await OpenExec.objects.aget()
    parts = sandbox_runtime.sandboxes.lease.split(":")
    row.holder = ":".join((parts[0], parts[1], "0", *parts[3:]))  # started at another time
    await row.asave()
    await sandbox_runtime.execs.resume()
    ended = await Log(session).of(CallEnded)
    assert [body.ending["kind"] for body in ended] == ["stopped"]
    assert not await OpenExec.objects.aexists()


async def test_so_many_at_once_and_no_more(http: Http) -> None:
    container = await new_container(http)
    session = await Session.objects.aget()
    for number in range(MAX_OPEN_EXECS):
        await OpenExec.objects.acreate(call_id=f"exec-{number}", session=session, holder="x")
    answer = await http.post(f"/containers/{container}/exec", json={"command": "true"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "command"),
        ({"command": ""}, "command"),
        ({"command": []}, "command"),
        ({"command": 5}, "command"),
        ({"command": ["", "x"]}, "command"),
        ({"command": "x" * 200_000}, "command"),
        ({"command": "true", "cwd": "here"}, "cwd"),
        ({"command": "true", "env": {"1A": "x"}}, "env"),
        ({"command": "true", "env": {"BERTH_X": "x"}}, "env"),
        ({"command": "true", "env": {"A": 1}}, "env.A"),
        ({"command": "true", "timeout_ms": 0}, "timeout_ms"),
        ({"command": "true", "timeout_ms": 10**12}, "timeout_ms"),
        ({"command": "true", "encoding": "latin1"}, "encoding"),
        ({"command": "true", "stdin": "%", "encoding": "base64"}, "stdin"),
        ({"command": "true", "max_output_bytes": 10**9}, "max_output_bytes"),
        ({"command": "true", "tty": True}, "tty"),
        ({"command": "true", "user": "root"}, "user"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    http: Http, body: dict[str, Any], param: str
) -> None:
    container = await new_container(http)
    answer = await http.post(f"/containers/{container}/exec", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param
    assert not await OpenExec.objects.aexists()


async def test_strangers_and_others_find_nothing(
    http: Http, bobs_http: Http, http_of: HttpOf
) -> None:
    container = await new_container(http)
    unknown = format_id(CONTAINER, uuid.uuid4())
    body = {"command": "true"}
    answers = [
        (await bobs_http.post(f"/containers/{one}/exec", json=body))
        for one in (container, unknown)
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    texts = {json.dumps(a.json()).replace(container, "X").replace(unknown, "X") for a in answers}
    assert len(texts) == 1
    stranger = await http_of(None).post(f"/containers/{container}/exec", json=body)
    assert stranger.status_code == 401
    session = await Session.objects.aget()
    assert not [e for e in await log.read(session.id) if isinstance(e.body, CallStarted)]


async def test_a_container_that_cannot_be_had_is_an_error_in_both_shapes(
    http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = await new_container(http)
    await Session.objects.aupdate(setup={"mounts": [["gone", "/mnt/gone"]]})

    answer = await http.post(f"/containers/{container}/exec", json={"command": "true"})
    assert answer.status_code == 502
    assert "no longer" in answer.json()["error"]["message"] or "any more" in answer.text
    streamed = await http.post(
        f"/containers/{container}/exec", json={"command": "true", "stream": True}
    )
    assert [event["type"] for event in events_in(streamed.text)] == ["exec.started", "error"]
    assert runtime().execs._running == {}
