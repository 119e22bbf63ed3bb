"""Turns from the queue to their end, by the real supervisor over real guests."""

import asyncio
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from sessions import services
from sessions.events.types import (
    CallEnded,
    CallStarted,
    EventBody,
    MessageDone,
    Output,
    SessionStatus,
    ToolResult,
    TurnEnded,
    TurnRemoved,
    TurnStarted,
)
from sessions.models import Session, Turn, TurnStatus, Upload
from sessions.runtime.process import Runtime
from sessions.runtime.supervisor import Supervisor
from sessions.sandbox.base import ExecRequest
from sessions.sandbox.limits import Limits
from sessions.services import NewUpload
from tests.runtime.conftest import Log
from tests.sandbox.running import follow

pytestmark = pytest.mark.slow


async def start(owner: User, text: str, limits: Limits | None = None, **more) -> Session:
    return await services.session_create(
        owner=owner,
        text=text,
        provider=more.pop("provider", "scripted"),
        model="scripted",
        image="child",
        limits=limits or Limits(),
        **more,
    )


async def output_of(session: Session, call: int = -1) -> bytes:
    """Everything one call printed, the last one unless told."""
    call_id = (await Log(session).of(CallStarted))[call].call_id
    outputs = await Log(session).of(Output)
    return b"".join(output.content for output in outputs if output.call_id == call_id)


def is_end(body: object) -> bool:
    return isinstance(body, TurnEnded)


def is_end_of(turn: int) -> Callable[[EventBody], bool]:
    return lambda body: isinstance(body, TurnEnded) and body.turn == turn


async def test_a_task_runs_to_its_end(supervisor: Supervisor, alice: User) -> None:
    session = await start(alice, "Go.\n```bash\necho out; echo err >&2; exit 3\n```")
    end = await Log(session).wait_for(is_end)
    assert end.reason == "completed"
    outputs = await Log(session).of(Output)
    by_stream = dict.fromkeys(("stdout", "stderr"), b"")
    for output in outputs:
        by_stream[output.stream] += output.content
    assert by_stream == {"stdout": b"out\n", "stderr": b"err\n"}
    (ended,) = await Log(session).of(CallEnded)
    assert ended.ending == {"kind": "exit", "exit_code": 3}
    row = await Session.objects.aget(id=session.id)
    assert (row.status, row.lease_owner, row.container_state) == ("idle", "", "connected")
    turn = await Turn.objects.aget(session=session)
    assert (turn.status, turn.end_reason) == (TurnStatus.ENDED, "completed")
    assert [s.status for s in await Log(session).of(SessionStatus)] == [
        "starting",
        "running",
        "idle",
    ]


async def test_output_is_in_the_log_before_the_command_ends(
    supervisor: Supervisor, alice: User
) -> None:
    session = await start(alice, "```bash\necho early; sleep 300\n```")
    await Log(session).wait_for(lambda body: isinstance(body, Output))
    assert await Log(session).of(CallEnded) == []
    await services.turn_stop(session=session)
    await Log(session).wait_for(is_end)


async def test_commands_of_one_step_run_at_the_same_time(
    supervisor: Supervisor, alice: User, tmp_path
) -> None:
    # Each waits for the file the other one makes: one after the other they would never end.
    text = (
        "```bash\ntouch a; until [ -e b ]; do sleep 0.01; done; echo one\n```\n"
        "```bash\ntouch b; until [ -e a ]; do sleep 0.01; done; echo two\n```"
    )
    session = await start(alice, text, Limits(command_timeout_s=15))
    await Log(session).wait_for(is_end)
    endings = [ended.ending for ended in await Log(session).of(CallEnded)]
    assert endings == [{"kind": "exit", "exit_code": 0}] * 2


async def test_the_model_sees_results_in_the_order_of_its_commands(
    supervisor: Supervisor, alice: User
) -> None:
    session = await start(alice, "```bash\nsleep 0.3; echo slow\n```\n```bash\necho quick\n```")
    await Log(session).wait_for(is_end)
    (result,) = await Log(session).of(ToolResult)
    assert [c["stdout"] for c in result.item["commands"]] == ["slow\n", "quick\n"]


async def test_stop_kills_the_tree_and_says_so(supervisor: Supervisor, alice: User) -> None:
    session = await start(
        alice, "```bash\n(setsid sleep 4242 &) ; echo $$; sleep 4243\n```\n---\n```bash\ntrue\n```"
    )
    await Log(session).wait_for(lambda body: isinstance(body, Output))
    await services.turn_stop(session=session)
    end = await Log(session).wait_for(is_end)
    assert end.reason == "stopped"
    (ended,) = await Log(session).of(CallEnded)
    assert ended.ending["kind"] == "stopped"
    left = await asyncio.create_subprocess_exec(
        "pgrep", "-f", "sleep 424[23]", stdout=asyncio.subprocess.DEVNULL
    )
    assert await left.wait() == 1, "something of the tree is alive"
    assert (await Session.objects.aget(id=session.id)).status == "stopped"


async def test_a_command_over_its_time_ends_as_timeout(
    supervisor: Supervisor, alice: User
) -> None:
    session = await start(alice, "```bash\necho x; sleep 60\n```", Limits(command_timeout_s=0.5))
    end = await Log(session).wait_for(is_end)
    (ended,) = await Log(session).of(CallEnded)
    assert (ended.ending["kind"], end.reason) == ("timeout", "completed")


async def test_a_follow_up_continues_in_the_same_container(
    supervisor: Supervisor, alice: User, sandbox_runtime: Runtime
) -> None:
    session = await start(alice, "```bash\necho kept > file\n```")
    await Log(session).wait_for(is_end)
    before = (await Session.objects.aget(id=session.id)).container_id
    await services.turn_submit(session=session, text="```bash\ncat file\n```")
    await Log(session).wait_for(is_end_of(2))
    assert await output_of(session) == b"kept\n"
    assert (await Session.objects.aget(id=session.id)).container_id == before


async def test_a_queued_message_waits_and_can_be_taken_back(
    supervisor: Supervisor, alice: User
) -> None:
    session = await start(alice, "```bash\necho on; sleep 300\n```")
    await Log(session).wait_for(lambda body: isinstance(body, Output))
    await services.turn_submit(session=session, text="never")
    await services.turn_submit(session=session, text="later")
    await services.turn_remove(session=session, number=2)
    await services.turn_stop(session=session)
    await Log(session).wait_for(is_end_of(3))
    assert [body.turn for body in await Log(session).of(TurnStarted)] == [1, 3]
    assert [body.turn for body in await Log(session).of(TurnRemoved)] == [2]


async def test_uploads_are_in_the_workspace_before_the_first_command(
    supervisor: Supervisor, alice: User
) -> None:
    session = await start(
        alice, "```bash\ncat 'my data.csv'\n```", files=[NewUpload("my data.csv", [b"1,2\n"], 4)]
    )
    await Log(session).wait_for(is_end)
    assert await output_of(session) == b"1,2\n"
    assert not await Upload.objects.filter(delivered_at=None).aexists()
    assert not any(services.upload_folder(session.id).iterdir())


async def test_a_saved_file_is_run(supervisor: Supervisor, alice: User) -> None:
    session = await start(alice, '```python\n# sub/hello.py\nprint("hi")\n```')
    await Log(session).wait_for(is_end)
    (started,) = await Log(session).of(CallStarted)
    assert started.writes == "sub/hello.py"
    assert await output_of(session) == b"hi\n"


async def test_a_model_that_is_no_longer_configured_ends_the_turn_with_a_hint(
    supervisor: Supervisor, alice: User
) -> None:
    session = await start(alice, "hello", provider="openai_chat")
    end = await Log(session).wait_for(is_end)
    assert (end.reason, end.hint) == ("failed", "Choose another.")
    assert (await Session.objects.aget(id=session.id)).status == "failed"
    assert (await Session.objects.aget(id=session.id)).lease_owner == ""


async def test_a_container_that_is_gone_ends_its_call_and_a_new_one_has_the_files(
    supervisor: Supervisor, alice: User, sandbox_runtime: Runtime
) -> None:
    text = "```bash\necho kept > file; echo ready; sleep 300\n```\n---\n```bash\ncat file\n```"
    session = await start(alice, text)
    await Log(session).wait_for(lambda body: isinstance(body, Output))
    row = await Session.objects.aget(id=session.id)
    await sandbox_runtime.sandboxes.backend.remove(row.container_id)
    end = await Log(session).wait_for(is_end, 40)
    kinds = [ended.ending["kind"] for ended in await Log(session).of(CallEnded)]
    assert (kinds, end.reason) == (["container_lost", "exit"], "completed")
    assert await output_of(session) == b"kept\n"


async def test_the_session_ends_its_turn_when_its_time_is_used_up(
    supervisor: Supervisor, alice: User
) -> None:
    session = await start(alice, "```bash\necho x; sleep 300\n```", Limits(session_time_s=1))
    end = await Log(session).wait_for(is_end)
    assert end.reason == "time_limit"
    assert (await Log(session).of(CallEnded))[0].ending["kind"] == "stopped"


async def test_the_step_limit_ends_a_turn(supervisor: Supervisor, alice: User) -> None:
    text = "\n---\n".join(f"```bash\necho {n}\n```" for n in range(5))
    session = await start(alice, text, Limits(max_steps=2))
    end = await Log(session).wait_for(is_end)
    assert end.reason == "step_limit"
    assert len(await Log(session).of(CallStarted)) == 2


async def test_output_past_the_cap_loses_its_middle_and_says_so(
    supervisor: Supervisor, alice: User
) -> None:
    limits = Limits(max_output_bytes=256 * 1024)
    session = await start(alice, "```bash\nseq 1000000\n```", limits)
    end = await Log(session).wait_for(is_end)
    assert end.reason == "completed"
    bodies = await Log(session).bodies()
    (ended,) = [body for body in bodies if isinstance(body, CallEnded)]
    stored = sum(len(body.data) for body in bodies)
    dropped = sum(getattr(body, "length", 0) for body in bodies)
    assert stored + dropped == ended.stdout_bytes == 6_888_896
    assert stored <= limits.max_output_bytes * 9 // 8 + 64 * 1024
    assert [body for body in bodies if isinstance(body, Output)][-1].content.endswith(b"1000000\n")
    (result,) = [body for body in bodies if isinstance(body, ToolResult)]
    shown = result.item["commands"][0]["stdout"]
    assert f"omitted; all of it is in {ended.log_path}" in shown
    assert shown.startswith("1\n2\n")
    assert shown.endswith("999999\n1000000\n")


async def test_all_output_of_a_call_past_the_cap_is_in_its_file(
    supervisor: Supervisor, alice: User
) -> None:
    """The model is told the path and can read it; so can whoever opens a shell."""
    limits = Limits(max_output_bytes=256 * 1024)
    session = await start(alice, "```bash\nseq 1000000\n```", limits)
    await Log(session).wait_for(is_end)
    (ended,) = await Log(session).of(CallEnded)
    read = f"sha256sum < {ended.log_path}; seq 1000000 | sha256sum"
    await services.turn_submit(session=session, text=f"```bash\n{read}\n```")
    await Log(session).wait_for(is_end_of(2))
    last = (await Log(session).of(CallEnded))[-1].call_id
    sums = b"".join(o.content for o in await Log(session).of(Output) if o.call_id == last)
    first, second = sums.splitlines()
    assert first == second


async def test_the_guest_keeps_nothing_of_a_command_that_is_stored(
    supervisor: Supervisor, sandbox_runtime: Runtime, alice: User
) -> None:
    session = await start(alice, "```bash\nseq 1000; echo no >&2\n```")
    await Log(session).wait_for(is_end)
    (ended,) = await Log(session).of(CallEnded)
    sandbox = await sandbox_runtime.sandboxes.connect(session)
    again = await follow(await sandbox.exec(ExecRequest(exec_id=ended.call_id, argv=("true",))))
    assert (again.stdout, again.stderr, again.ending.exit_code) == (b"", b"", 0)


async def test_more_turns_than_may_run_wait_their_turn(
    supervisor: Supervisor, alice: User
) -> None:
    sessions = [await start(alice, f"```bash\necho {n}; sleep 0.2\n```") for n in range(9)]
    ends = [await Log(session).wait_for(is_end, 60) for session in sessions]
    assert [end.reason for end in ends] == ["completed"] * 9


async def test_the_answer_is_recorded_whole(supervisor: Supervisor, alice: User) -> None:
    session = await start(alice, "Say *this*.\n```bash\ntrue\n```")
    await Log(session).wait_for(is_end)
    messages = [message.text for message in await Log(session).of(MessageDone)]
    assert messages == ["Say *this*.", "Done: 1 command, exit code 0."]


async def test_several_files_of_a_block_are_saved_before_the_last_is_run(
    supervisor: Supervisor, alice: User
) -> None:
    block = "# lib/one.py\nONE = 1\n\n# two.py\nfrom lib.one import ONE\nprint(ONE + 1)\n"
    session = await start(alice, f"```python\n{block}```")
    await Log(session).wait_for(is_end)
    (started,) = await Log(session).of(CallStarted)
    assert (started.writes, started.command) == ("lib/one.py, two.py", "python3 two.py")
    assert await output_of(session) == b"2\n"
