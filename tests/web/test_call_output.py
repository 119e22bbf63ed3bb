"""Where output of a call was not stored, its download says so."""

import pytest
from django.test import AsyncClient

from sessions.events import log
from sessions.events.types import CallEnded, CallStarted, EventBody, Output, OutputDropped
from sessions.models import Session


async def download(client: AsyncClient, session: Session, query: str = "") -> bytes:
    response = await client.get(f"/sessions/{session.id}/calls/c1/output/{query}")
    return b"".join([piece async for piece in response])  # type: ignore[attr-defined]


async def write(session: Session, *more: EventBody) -> None:
    """A call that lost 1,234,567 bytes of stdout between `head` and `tail`, and what follows."""
    started = CallStarted("c1", "t", 0, "shell", "x", 5)
    head, noise = Output("c1", "stdout", 0, b"head"), Output("c1", "stderr", 0, b"!")
    dropped = OutputDropped("c1", "stdout", 4, 1_234_567)
    of_another = OutputDropped("c2", "stdout", 0, 9)
    tail = Output("c1", "stdout", 1_234_571, b"tail")
    await log.append(session.id, [started, head, noise, of_another, dropped, tail, *more])


def ended(call_id: str, log_path: str) -> CallEnded:
    return CallEnded(call_id, {"kind": "exit", "exit_code": 0}, 1, log_path=log_path)


async def test_a_line_tells_how_much_is_missing_and_where_all_of_it_is(
    agent_session: Session, alices: AsyncClient
) -> None:
    await write(agent_session, ended("c2", "/other.log"), ended("c1", "/tmp/berth/c1.log"))
    line = (
        b"\n[Berth: 1,234,567 bytes of stdout left out here; "
        b"all output is in /tmp/berth/c1.log in the container]\n"
    )
    assert await download(alices, agent_session) == b"head!" + line + b"tail"
    assert await download(alices, agent_session, "?stream=stdout") == b"head" + line + b"tail"
    assert await download(alices, agent_session, "?stream=stderr") == b"!"


async def test_the_line_stands_before_the_call_has_ended(
    agent_session: Session, alices: AsyncClient
) -> None:
    await write(agent_session)
    line = b"\n[Berth: 1,234,567 bytes of stdout left out here]\n"
    assert await download(alices, agent_session) == b"head!" + line + b"tail"


@pytest.mark.parametrize("path", ["/a\n[Berth: b", "/a\x1b[2J", "/a\r"])
async def test_a_path_from_the_container_makes_no_line_of_its_own(
    agent_session: Session, alices: AsyncClient, path: str
) -> None:
    await write(agent_session, ended("c1", path))
    content = await download(alices, agent_session)
    assert content.count(b"\n") == 2
    assert not {b"\x1b", b"\r"} & {bytes([byte]) for byte in content}
