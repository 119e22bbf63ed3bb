"""Terminals through the host's end: size, keys, a large paste, and attaching again."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator

import pytest

from sessions.errors import InvalidInputError
from sessions.sandbox.base import Exec, ExecEnded, ExecOutput, ExecRequest, Sandbox, TerminalSize
from tests.sandbox.conftest import Box

SIZE = TerminalSize(91, 33)
PASTE_BYTES = 1024 * 1024


def terminal(*argv: str, exec_id: str = "", offset: int = 0) -> ExecRequest:
    return ExecRequest(
        exec_id=exec_id or uuid.uuid4().hex, argv=argv, pty=SIZE, pty_offset=offset, keep_log=False
    )


class Screen:
    """What a terminal printed so far, acknowledged as it comes."""

    def __init__(self, exec_: Exec) -> None:
        self.exec = exec_
        self.shown = b""
        self.ended: ExecEnded | None = None
        self._pieces: AsyncIterator[ExecOutput | ExecEnded] = exec_.__aiter__()

    async def read_until(self, text: bytes, *, after: int = 0) -> None:
        """`after` so many bytes."""
        async with asyncio.timeout(20):
            while self.shown.find(text, after) < 0:
                await self._next()

    async def read_to_end(self) -> ExecEnded:
        async with asyncio.timeout(60):
            while self.ended is None:
                await self._next()
        return self.ended

    async def _next(self) -> None:
        piece = await anext(self._pieces)
        if isinstance(piece, ExecEnded):
            self.ended = piece
            return
        assert piece.stream == "pty"
        assert piece.offset == len(self.shown)
        self.shown += piece.data
        await self.exec.ack("pty", piece.offset + len(piece.data))


async def opened(sandbox: Sandbox, *argv: str, exec_id: str = "") -> Screen:
    return Screen(await sandbox.exec(terminal(*argv, exec_id=exec_id)))


async def test_size_is_told_and_can_change(sandbox: Sandbox) -> None:
    screen = await opened(sandbox, "/bin/sh", "-c", "stty size; read line; stty size")
    await screen.read_until(b"33 91\r\n")
    await screen.exec.resize(TerminalSize(70, 20))
    await screen.exec.write_stdin(b"x\n")
    ended = await screen.read_to_end()
    assert screen.shown == b"33 91\r\nx\r\n20 70\r\n"
    assert (ended.ending.kind, ended.ending.exit_code) == ("exit", 0)
    assert (ended.pty_bytes, ended.stdout_bytes) == (len(screen.shown), 0)


async def test_control_c_interrupts_the_program_and_not_the_shell(sandbox: Sandbox) -> None:
    program = "sh -c 'echo ready; exec sleep 60'"
    script = f"trap 'echo interrupted' INT; {program}; echo after; read line"
    screen = await opened(sandbox, "/bin/sh", "-c", script)
    await screen.read_until(b"ready\r\n")
    await screen.exec.write_stdin(b"\x03")
    await screen.read_until(b"interrupted\r\nafter\r\n")
    await screen.exec.write_stdin(b"\n")
    assert (await screen.read_to_end()).ending.exit_code == 0


async def test_a_paste_of_a_megabyte_arrives_whole(sandbox: Sandbox) -> None:
    """With its echo, as a terminal that a program has not silenced sends it back."""
    pasted = b"".join(b"%06d %s\n" % (i, b"x" * 57) for i in range(PASTE_BYTES // 65 + 1))
    script = f"echo ready; head -c {len(pasted)} | sha256sum"
    screen = await opened(sandbox, "/bin/sh", "-c", script)
    await screen.read_until(b"ready\r\n")
    typing = asyncio.create_task(screen.exec.write_stdin(pasted))
    ended = await screen.read_to_end()
    await typing
    assert ended.ending.exit_code == 0
    assert hashlib.sha256(pasted).hexdigest().encode() in screen.shown
    assert await screen.exec.stdin_offset() == len(pasted)


async def test_another_channel_goes_on_where_the_first_was(box: Box) -> None:
    exec_id = uuid.uuid4().hex
    loop = "while read line; do echo got $line; done"
    first = await opened(box.channel, "/bin/sh", "-c", loop, exec_id=exec_id)
    await first.exec.write_stdin(b"one\n")
    await first.read_until(b"got one\r\n")

    channel = await box.reopen()
    again = Screen(
        await channel.exec(terminal("/bin/false", exec_id=exec_id, offset=len(first.shown)))
    )
    again.shown = first.shown
    assert await again.exec.stdin_offset() == len(b"one\n")
    await again.exec.write_stdin(b"two\n\x04")
    ended = await again.read_to_end()
    assert again.shown.startswith(b"one\r\ngot one\r\ntwo\r\ngot two\r\n")
    assert ended.ending.exit_code == 0


async def test_stop_ends_what_runs_in_it(sandbox: Sandbox) -> None:
    screen = await opened(sandbox, "/bin/sh", "-c", "sleep 60 & echo ready; wait")
    await screen.read_until(b"ready\r\n")
    await screen.exec.stop()
    assert (await screen.read_to_end()).ending.kind == "stopped"


async def test_a_command_without_a_terminal_has_no_size(sandbox: Sandbox) -> None:
    plain = await sandbox.exec(ExecRequest(exec_id=uuid.uuid4().hex, argv=("true",)))
    with pytest.raises(InvalidInputError):
        await plain.resize(SIZE)
    assert [piece async for piece in plain]
