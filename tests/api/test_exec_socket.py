"""A terminal for a program: typed into, resized, ended, gone back to; and seen like any shell."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import httpx2
import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User

from sessions import services
from sessions.events.types import Output, ShellEnded, ShellOpened
from sessions.models import ApiKey, Session, Shell
from sessions.responses.ids import CONTAINER, format_id
from sessions.runtime.process import Runtime
from tests.api.test_container_exec import new_container
from tests.runtime.conftest import Log
from webapp.asgi import application

Http: TypeAlias = httpx2.AsyncClient


class Terminal:
    """A program's end."""

    def __init__(self, http: Http, container: str) -> None:
        headers = [(b"host", b"testserver")]
        if "authorization" in http.headers:
            headers.append((b"authorization", http.headers["authorization"].encode()))
        self.socket = WebsocketCommunicator(
            application,
            f"/v1/containers/{container}/exec",
            headers=headers,
            subprotocols=["berth.exec.v1"],
        )
        self.screen = b""
        self.told: list[dict[str, Any]] = []
        self.close_code: int | None = None

    async def open(self, **first: Any) -> "Terminal":
        accepted, protocol = await self.socket.connect(timeout=20)
        assert (accepted, protocol) == (True, "berth.exec.v1")
        await self.say(**first)
        return self

    async def say(self, type: str, **fields: Any) -> None:
        await self.socket.send_json_to({"type": type, **fields})

    async def type(self, data: bytes) -> None:
        await self.socket.send_to(bytes_data=data)

    async def step(self) -> None:
        message = await self.socket.receive_output(30)
        if message["type"] == "websocket.close":
            self.close_code = message["code"]
        elif message.get("bytes") is not None:
            self.screen += message["bytes"]
        else:
            self.told.append(json.loads(message["text"]))

    async def until(self, is_there: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(20):
                while not is_there():
                    assert self.close_code is None, (self.close_code, self.told, self.screen)
                    await self.step()
        except TimeoutError:
            raise AssertionError(f"It never came: {self.told} {self.screen!r}") from None

    async def until_told(self, kind: str) -> dict[str, Any]:
        await self.until(lambda: any(one["type"] == kind for one in self.told))
        return next(one for one in self.told if one["type"] == kind)

    async def until_shown(self, text: bytes) -> None:
        await self.until(lambda: text in self.screen)

    async def until_closed(self) -> int:
        async with asyncio.timeout(20):
            while self.close_code is None:
                await self.step()
        return self.close_code

    async def leave(self) -> None:
        await self.socket.disconnect(timeout=20)


Open: TypeAlias = Callable[..., Awaitable[Terminal]]


@pytest.fixture
async def terminal_of(http: Http) -> AsyncIterator[Open]:
    """Opens one in a container, with its first frame."""
    opened: list[Terminal] = []

    async def open_one(container: str, **first: Any) -> Terminal:
        terminal = Terminal(http, container)
        opened.append(terminal)
        return await terminal.open(**first)

    yield open_one
    for terminal in opened:
        await terminal.leave()


async def test_a_command_has_a_terminal_and_ends_with_its_code(
    http: Http, terminal_of: Open
) -> None:
    container = await new_container(http, env={"WHO": "Elbe"})
    terminal = await terminal_of(
        container,
        type="start",
        command="tty; stty size; echo $WHO $TERM; exit 3",
        columns=100,
        rows=30,
    )
    started = await terminal.until_told("started")
    assert started["exec"]["container_id"] == container
    assert (started["exec"]["columns"], started["exec"]["rows"], started["offset"]) == (100, 30, 0)
    ended = await terminal.until_told("exit")
    assert ended["outcome"] == {"type": "exit", "exit_code": 3}
    assert b"/dev/pts/" in terminal.screen
    assert b"30 100\r\nElbe xterm-256color\r\n" in terminal.screen
    assert ended["bytes"] == len(terminal.screen)
    assert await terminal.until_closed() == 1000


async def test_words_run_as_they_are(http: Http, terminal_of: Open) -> None:
    container = await new_container(http)
    terminal = await terminal_of(container, type="start", command=["echo", "$HOME"])
    await terminal.until_told("exit")
    assert terminal.screen == b"$HOME\r\n"


async def test_a_shell_is_typed_into_and_resized(http: Http, terminal_of: Open) -> None:
    container = await new_container(http)
    terminal = await terminal_of(container, type="start", cwd="/tmp", env={"A": "b"})
    await terminal.until_told("started")
    await terminal.type(b"echo $PWD-$A-$((6*7))\n")
    await terminal.until_shown(b"/tmp-b-42")
    await terminal.say("resize", columns=120, rows=40)
    await terminal.until_told("size")
    await terminal.type(b"stty size\n")
    # Typed before the prompt is back, an end of input would be that of nothing.
    await terminal.until(lambda: b"$ " in terminal.screen.partition(b"40 120")[2])
    await terminal.say("eof")
    ended = await terminal.until_told("exit")
    assert ended["ending"]["kind"] == "exit"


async def test_an_interrupt_reaches_what_runs(http: Http, terminal_of: Open) -> None:
    container = await new_container(http)
    command = "trap 'echo caught; exit 5' INT; echo up; while :; do sleep 0.05; done"
    terminal = await terminal_of(container, type="start", command=command)
    await terminal.until_shown(b"up")
    await terminal.say("signal", name="INT")
    ended = await terminal.until_told("exit")
    assert (b"caught" in terminal.screen, ended["outcome"]["exit_code"]) == (True, 5)


async def test_kill_ends_all_of_it(http: Http, terminal_of: Open) -> None:
    container = await new_container(http)
    terminal = await terminal_of(container, type="start", command="trap '' INT; sleep 300")
    await terminal.until_told("started")
    await terminal.say("signal", name="KILL")
    ended = await terminal.until_told("exit")
    assert ended["ending"]["kind"] == "stopped"


async def test_time_that_is_up_ends_it(http: Http, terminal_of: Open) -> None:
    container = await new_container(http)
    terminal = await terminal_of(container, type="start", command="sleep 300", timeout_ms=300)
    assert (await terminal.until_told("exit"))["outcome"] == {"type": "timeout"}


async def test_people_see_it_live_and_in_the_log(http: Http, terminal_of: Open) -> None:
    container = await new_container(http)
    terminal = await terminal_of(container, type="start", command="echo seen; sleep 300")
    session = await Session.objects.aget()
    await Log(session).wait_for(lambda body: isinstance(body, Output) and b"seen" in body.content)
    opened = (await Log(session).of(ShellOpened))[0]
    assert opened.user == "alice"
    await terminal.until_told("started")
    assert terminal.told[0]["exec"]["id"] == opened.shell_id


async def test_leaving_ends_it(http: Http, terminal_of: Open) -> None:
    container = await new_container(http)
    terminal = await terminal_of(container, type="start", command="sleep 300")
    await terminal.until_told("started")
    await terminal.leave()
    session = await Session.objects.aget()
    ended = await Log(session).wait_for(lambda body: isinstance(body, ShellEnded))
    assert ended.ending["kind"] == "stopped"


@pytest.mark.parametrize("how", ["start", "frame"])
async def test_what_is_detached_goes_on_and_is_gone_back_to(
    http: Http, terminal_of: Open, how: str
) -> None:
    container = await new_container(http)
    terminal = await terminal_of(
        container, type="start", command="echo one; read x; echo got-$x", detach=how == "start"
    )
    started = await terminal.until_told("started")
    await terminal.until_shown(b"one")
    if how == "frame":
        await terminal.say("detach")
        await terminal.until_closed()
    await terminal.leave()
    shell = await Shell.objects.aget()
    assert (shell.ended_at, shell.request["is_detached"]) == (None, True)
    again = await terminal_of(
        container, type="attach", exec_id=started["exec"]["id"], offset=len(terminal.screen)
    )
    await again.until_told("started")
    await again.type(b"it\n")
    ended = await again.until_told("exit")
    assert ended["outcome"] == {"type": "exit", "exit_code": 0}
    assert b"one" not in again.screen
    assert b"got-it" in again.screen
    whole = await terminal_of(container, type="attach", exec_id=started["exec"]["id"], offset=0)
    await whole.until_told("exit")
    assert whole.screen == terminal.screen + again.screen


async def test_who_only_looks_ends_nothing(http: Http, terminal_of: Open) -> None:
    container = await new_container(http)
    first = await terminal_of(container, type="start", command="echo up; sleep 300")
    started = await first.until_told("started")
    second = await terminal_of(container, type="attach", exec_id=started["exec"]["id"])
    await second.until_shown(b"up")
    await second.leave()
    await first.say("ping")
    await first.until_told("pong")
    assert (await Shell.objects.aget()).ended_at is None


async def test_a_long_output_comes_whole_also_to_who_reads_slowly(
    http: Http, terminal_of: Open
) -> None:
    container = await new_container(http)
    terminal = await terminal_of(container, type="start", command="seq 200000")
    await terminal.until_told("exit")
    assert terminal.screen == b"".join(b"%d\r\n" % number for number in range(1, 200_001))


async def test_more_than_the_limit_is_refused_and_credit_moves_it(
    http: Http, terminal_of: Open
) -> None:
    container = await new_container(http)
    terminal = await terminal_of(
        container, type="start", command="stty raw -echo; echo ready; head -c 400000 | wc -c"
    )
    limit = (await terminal.until_told("started"))["input_limit"]
    await terminal.until_shown(b"ready")
    await terminal.type(b"x" * limit)
    await terminal.until_told("input")
    await terminal.type(b"x" * (400_000 - limit))
    await terminal.until_shown(b"400000")
    greedy = await terminal_of(container, type="start", command="sleep 300")
    limit = (await greedy.until_told("started"))["input_limit"]
    await greedy.type(b"x" * (limit + 1))
    assert (await greedy.until_told("error"))["error"]["param"] == "input"
    assert await greedy.until_closed() == 4400


async def test_a_shell_that_a_server_left_behind_is_ended_unless_detached(
    http: Http, terminal_of: Open, sandbox_runtime: Runtime
) -> None:
    container = await new_container(http)
    kept = await terminal_of(container, type="start", command="sleep 300", detach=True)
    bound = await terminal_of(container, type="start", command="sleep 300")
    await kept.until_told("started")
    await bound.until_told("started")
    parts = sandbox_runtime.sandboxes.lease.split(":")
    parts[2] = "0"  # started at another time: it is dead
    await sandbox_runtime.shells.aclose()
    await Shell.objects.aupdate(holder=":".join(parts))
    await sandbox_runtime.shells.resume()
    rows = {row.request["is_detached"]: row async for row in Shell.objects.all()}
    assert rows[True].ended_at is None
    assert (rows[False].ending or {}).get("kind") == "stopped"


@pytest.mark.parametrize(
    ("first", "param"),
    [
        ({"type": "begin"}, "type"),
        ({"type": "start", "tty": False}, "tty"),
        ({"type": "start", "command": ""}, "command"),
        ({"type": "start", "command": []}, "command"),
        ({"type": "start", "columns": 0}, None),
        ({"type": "start", "env": {"BERTH_X": "1"}}, "env"),
        ({"type": "start", "cwd": "x"}, "cwd"),
        ({"type": "start", "timeout_ms": 10**12}, "timeout_ms"),
        ({"type": "attach", "exec_id": "shell-unknown"}, "exec_id"),
        ({"type": "attach"}, "exec_id"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    http: Http, terminal_of: Open, first: dict[str, Any], param: str | None
) -> None:
    terminal = await terminal_of(await new_container(http), **first)
    error = (await terminal.until_told("error"))["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert await terminal.until_closed() == 4400
    assert not await Shell.objects.aexists()


@pytest.mark.parametrize("frame", ["[]", "{}", '{"type": 5}', "nonsense", '{"type": "what"}'])
async def test_frames_that_make_no_sense_end_the_connection(
    http: Http, terminal_of: Open, frame: str
) -> None:
    terminal = await terminal_of(await new_container(http), type="start", command="sleep 300")
    await terminal.until_told("started")
    await terminal.socket.send_to(text_data=frame)
    await terminal.until_told("error")
    assert await terminal.until_closed() == 4400


async def test_a_setup_that_fails_is_told(http: Http, terminal_of: Open) -> None:
    container = await new_container(http, setup_commands=["exit 4"])
    terminal = await terminal_of(container, type="start")
    error = (await terminal.until_told("error"))["error"]
    assert error["code"] == "setup_failed"


async def denied(http: Http, container: str) -> tuple[int, Any]:
    """Status and body of an answer that was no upgrade."""
    status, body, _ = await refused(http, container)
    return status, body


async def refused(http: Http, container: str) -> tuple[int, Any, dict[bytes, bytes]]:
    """The same with its headers."""
    terminal = Terminal(http, container)
    terminal.socket.scope["extensions"] = {"websocket.http.response": {}}
    await terminal.socket.send_input({"type": "websocket.connect"})
    start = await terminal.socket.receive_output(20)
    body = await terminal.socket.receive_output(20)
    assert start["type"] == "websocket.http.response.start"
    return start["status"], json.loads(body["body"]), dict(start["headers"])


async def test_strangers_and_others_get_no_upgrade(
    http: Http, bobs_http: Http, http_of: Callable[[str | None], Http]
) -> None:
    container = await new_container(http)
    unknown = format_id(CONTAINER, uuid.uuid4())
    texts = set()
    for one in (container, unknown):
        status, body = await denied(bobs_http, one)
        assert status == 404
        texts.add(json.dumps(body).replace(one, "X"))
    assert len(texts) == 1
    status, body = await denied(http_of(None), container)
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")
    status, body = await denied(http_of("berth_wrong"), container)
    assert status == 401


async def test_a_key_needs_the_scope_and_has_its_limit(
    http: Http, alice: User, http_of: Callable[[str | None], Http]
) -> None:
    container = await new_container(http)
    _, reading = await services.api_key_create(user=alice, name="r", scopes=["containers.read"])
    status, body = await denied(http_of(reading), container)
    assert (status, body["error"]["code"]) == (403, "missing_scope")
    key, secret = await services.api_key_create(user=alice, name="few")
    await ApiKey.objects.filter(id=key.id).aupdate(requests_per_minute=1)
    missing = format_id(CONTAINER, uuid.uuid4())
    assert (await denied(http_of(secret), missing))[0] == 404
    status, body, headers = await refused(http_of(secret), container)
    assert (status, body["error"]["code"]) == (429, "rate_limit_exceeded")
    assert int(headers[b"retry-after"]) >= 1


async def test_without_the_extension_it_is_closed_instead(bobs_http: Http, http: Http) -> None:
    terminal = Terminal(bobs_http, await new_container(http))
    accepted, code = await terminal.socket.connect(timeout=20)
    assert (accepted, code) == (False, 4400)


async def test_a_revoked_key_ends_it(
    http: Http, terminal_of: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.api.exec_socket.CHECK_S", 0.1)
    terminal = await terminal_of(await new_container(http), type="start", command="sleep 300")
    await terminal.until_told("started")
    await ApiKey.objects.all().adelete()
    assert (await terminal.until_told("error"))["error"]["code"] == "invalid_api_key"
