"""Every event once and in order, wherever the connection was cut."""

import random

import pytest
from django.contrib.auth.models import User

from sessions.events.types import (
    CallEnded,
    CallStarted,
    EventBody,
    MessageDelta,
    MessageDone,
    StepEnded,
    ToolResult,
)
from sessions.models import Session
from tests.streaming.conftest import OpenViewer, append, output

pytestmark = pytest.mark.slow


def started(call_id: str) -> CallStarted:
    return CallStarted(
        call_id=call_id, tool_call_id="t1", index=0, tool="shell", command="x", timeout_s=5
    )


def ended(call_id: str) -> CallEnded:
    return CallEnded(call_id=call_id, ending={"kind": "exit", "exit_code": 0}, duration_ms=5)


def mixed_log(random_: random.Random, count: int) -> list[EventBody]:
    """Output of two calls between messages, as a busy session writes it."""
    offsets = {("a", "stdout"): 0, ("a", "stderr"): 0, ("b", "stdout"): 0}
    bodies: list[EventBody] = [started("a"), started("b")]
    for _ in range(count):
        if random_.random() < 0.3:
            bodies.append(MessageDelta(message_id="m", kind="text", text="word "))
            continue
        call_id, stream = random_.choice(list(offsets))
        content = random_.randbytes(random_.choice([0, 1, 40, 5_000, 70_000]))
        bodies.append(output(call_id, content, offsets[call_id, stream], stream))
        offsets[call_id, stream] += len(content)
    return bodies


def wanted_output(bodies: list[EventBody]) -> bytes:
    return b"".join(body.data for body in bodies)


@pytest.mark.parametrize("seed", range(6))
async def test_resuming_at_any_point_gives_exactly_the_rest(
    agent_session: Session, alice: User, open_viewer: OpenViewer, seed: int
) -> None:
    random_ = random.Random(seed)
    bodies = mixed_log(random_, 60)
    last = await append(agent_session, *bodies)
    got: list[dict[str, object]] = []
    while not got or got[-1]["seq"] != last:
        after = int(str(got[-1]["seq"])) if got else 0
        viewer = await open_viewer(agent_session, alice)
        await viewer.follow(after)
        # Cut after a frame, or in the middle of one: a client keeps what it has handled.
        for _ in range(random_.randint(1, 3)):
            await viewer.next_frame()
        kept = viewer.received[: random_.randint(0, len(viewer.received))]
        got += kept
        await viewer.close()
        if random_.random() < 0.3:
            more = MessageDelta(message_id="m", kind="text", text="later ")
            bodies.append(more)
            last = await append(agent_session, more)
    assert [event["seq"] for event in got] == list(range(1, last + 1))
    assert b"".join(e["data"] for e in got if e["type"] == "output") == wanted_output(bodies)  # type: ignore[misc]


async def test_two_viewers_and_a_late_one_get_the_same(
    agent_session: Session, alice: User, charlie: User, open_viewer: OpenViewer
) -> None:
    bodies = mixed_log(random.Random(1), 30)
    first = await open_viewer(agent_session, alice)
    second = await open_viewer(agent_session, charlie)
    await first.follow()
    await second.follow()
    last = 0
    for body in bodies:
        last = await append(agent_session, body)
    late = await open_viewer(agent_session, alice)
    await late.follow()
    for viewer in (first, second, late):
        await viewer.read_to(last)
    assert first.received == second.received == late.received
    assert [event["seq"] for event in first.received] == list(range(1, last + 1))


async def test_caught_up_comes_once_after_the_replay(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    last = await append(agent_session, *mixed_log(random.Random(2), 10))
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    while not any(frame["type"] == "caught_up" for frame in viewer.control):
        for event in await viewer.next_frame():
            await viewer.ack(event["seq"])
    assert viewer.received[-1]["seq"] == last
    assert [f for f in viewer.control if f["type"] == "caught_up"] == [
        {"type": "caught_up", "seq": last}
    ]
    await append(agent_session, started("c"))
    await viewer.read_to(last + 1)
    assert await viewer.is_quiet()


async def test_one_call_alone_can_be_followed(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    bodies = [*mixed_log(random.Random(3), 40), ended("b"), ended("a")]
    await append(agent_session, *bodies)
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow(0, call_id="b")
    while not viewer.received or viewer.received[-1]["type"] != "call.ended":
        for event in await viewer.next_frame():
            await viewer.ack(event["seq"])
    assert {event["call_id"] for event in viewer.received} == {"b"}
    only_b = [body for body in bodies if getattr(body, "call_id", "") == "b"]
    got = b"".join(event.get("data", b"") for event in viewer.received)
    assert got == wanted_output(only_b)


async def test_finished_message_comes_as_safe_html(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    await append(
        agent_session,
        MessageDone(message_id="m", kind="text", text="**done** <img src=x onerror=alert(1)>"),
        MessageDone(message_id="r", kind="reasoning", text="**thought**"),
    )
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await viewer.read_to(2)
    assert "<strong>done</strong>" in viewer.received[0]["html"]
    assert "<img" not in viewer.received[0]["html"]
    assert "html" not in viewer.received[1]


async def test_what_only_the_model_reads_stays_on_the_server(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    secret = "x" * 10_000
    await append(
        agent_session,
        StepEnded(turn=1, step=1, items=[{"type": "assistant_message", "text": secret}]),
        ToolResult(tool_call_id="t", item={"type": "tool_result", "text": secret}),
    )
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await viewer.read_to(2)
    assert "items" not in viewer.received[0]
    assert len(viewer.received[1]["text"]) == 2000


async def test_text_with_lone_surrogates_reaches_the_page(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    await append(agent_session, MessageDelta(message_id="m", kind="text", text="a\ud800b\u202e"))
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await viewer.read_to(1)
    assert viewer.received[0]["text"] == "a?b\u202e"


async def test_pictures_that_code_showed_reach_the_page(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    url = "data:image/png;base64,iVBORw0KGgo="
    await append(
        agent_session,
        ToolResult(tool_call_id="t", item={"type": "tool_result", "images": [url]}),
        ToolResult(tool_call_id="u", item={"type": "tool_result", "images": []}),
    )
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await viewer.read_to(2)
    assert viewer.received[0]["images"] == [url]
    assert "images" not in viewer.received[1]
