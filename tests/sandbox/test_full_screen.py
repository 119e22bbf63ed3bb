"""Full-screen programs of the large image, at a terminal of the real guest."""

import uuid
from collections.abc import AsyncIterator

import pytest

from sessions.sandbox import names
from sessions.sandbox.base import ContainerSpec, TerminalSize
from sessions.sandbox.channel import GuestChannel, open_channel
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.limits import MIB, Limits
from tests.sandbox.test_pty_exec import SIZE, Screen, opened

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ALTERNATE_SCREEN, MAIN_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"
CURSOR_ON = b"\x1b[?25h"
"""It is off while the screen is drawn."""
LARGER = TerminalSize(120, 50)


@pytest.fixture
async def full_image() -> AsyncIterator[GuestChannel]:
    backend = DockerBackend(
        installation=f"test-{uuid.uuid4().hex[:12]}", allowed_images=(names.SANDBOX_IMAGE,)
    )
    session_id = str(uuid.uuid4())
    volume = names.workspace_volume_name(session_id)
    spec = ContainerSpec(session_id, names.SANDBOX_IMAGE, volume, Limits(memory_bytes=256 * MIB))
    try:
        channel = await open_channel(await backend.open(await backend.create(spec)))
        yield channel
        await channel.close()
    finally:
        for container in await backend.containers():
            await backend.remove(container.container_id)
        for left in await backend.volumes():
            await backend.remove_volume(left)
        await backend.close()


async def drawn(screen: Screen, keys: bytes, until: bytes) -> bytes:
    """What it shows from the keys on until that has come."""
    before = len(screen.shown)
    await screen.exec.write_stdin(keys)
    await screen.read_until(until, after=before)
    return screen.shown[before:]


async def test_vi_inserts_text_takes_a_new_size_and_writes(full_image: GuestChannel) -> None:
    await full_image.write_file("poem.txt", b"roses\n")
    screen = await opened(full_image, "vi", "poem.txt")
    await screen.read_until(CURSOR_ON)
    assert ALTERNATE_SCREEN in screen.shown
    assert b"roses" in screen.shown
    assert empty_rows(screen.shown) == SIZE.rows - 2  # the text, and the row for messages

    await drawn(screen, b"oviolets", b"violets")
    before = len(screen.shown)
    await screen.exec.resize(LARGER)
    await screen.read_until(b"violets", after=before)
    told = await drawn(screen, b"\x1b:set lines? columns?\r", b"columns=120")
    assert b"lines=50" in told
    redrawn = screen.shown[before:]
    assert b"roses" in redrawn
    assert empty_rows(redrawn) == LARGER.rows - 3

    assert MAIN_SCREEN not in screen.shown
    await screen.exec.write_stdin(b"\r:wq\r")
    ended = await screen.read_to_end()
    assert (ended.ending.kind, ended.ending.exit_code) == ("exit", 0)
    assert MAIN_SCREEN in screen.shown
    assert await content(full_image) == b"roses\nviolets\n"


def empty_rows(shown: bytes) -> int:
    """Rows behind the end of the file, which vi marks."""
    return shown.count(b"~")


async def content(sandbox: GuestChannel) -> bytes:
    return b"".join([piece async for piece in sandbox.read_file("poem.txt")])


async def test_htop_draws_what_runs_again_and_again_and_leaves_the_screen_as_it_was(
    full_image: GuestChannel,
) -> None:
    screen = await opened(full_image, "htop", "-d", "2")
    await screen.read_until(b"F10")
    assert ALTERNATE_SCREEN in screen.shown
    assert b"htop" in screen.shown, "its own row among the processes"
    await drawn(screen, b"", b"\x1b[")  # by itself
    before = len(screen.shown)
    await screen.exec.resize(LARGER)
    await screen.read_until(b"F10", after=before)
    await screen.exec.write_stdin(b"q")
    ended = await screen.read_to_end()
    assert (ended.ending.kind, ended.ending.exit_code) == ("exit", 0)
    assert MAIN_SCREEN in screen.shown
