"""A shell over its websocket, with a real guest behind it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from sessions.events import log
from sessions.events.types import (
    Output,
    OutputDropped,
    ShellEnded,
    ShellOpened,
    ShellResized,
    ShellWriter,
)
from sessions.models import Session, Shell
from sessions.runtime.process import Runtime
from sessions.runtime.shell_feed import PIECE_BYTES
from sessions.sandbox.base import TerminalSize
from sessions.sandbox.limits import Limits
from sessions.streaming import access
from sessions.streaming.window import WINDOW_BYTES
from tests.streaming.conftest import cookie_of
from tests.streaming.shell_page import ShellPage, page_of, shell_path

pytestmark = pytest.mark.slow

OpenPage = Callable[..., Awaitable[ShellPage]]
PASTE_BYTES = 1024 * 1024


@pytest.fixture
async def shell(sandbox_runtime: Runtime, agent_session: Session, alice: User) -> Shell:
    """Alice's, in a guest that is a plain child process."""
    return await sandbox_runtime.shells.open(
        session=agent_session, user=alice, size=TerminalSize(80, 24)
    )


@pytest.fixture
async def open_page(shell: Shell) -> AsyncIterator[OpenPage]:
    pages: list[ShellPage] = []

    async def open_(user: User, *, token: str = "", is_attached: bool = True) -> ShellPage:
        page = await page_of(shell, user, token=token)
        pages.append(page)
        if is_attached:
            await page.attach()
            await page.until(is_attached=True)
        else:
            await page.connect()
        return page

    yield open_
    for page in pages:
        await page.close()


async def echoed(page: ShellPage, word: str) -> None:
    """Have the shell print a word that is not on the command's own line."""
    await page.type(f"printf '%s-%s\\n' {word} done\n".encode())
    await page.read_until(f"{word}-done".encode())


# Access


async def test_stranger_unknown_and_nobody_are_refused(
    shell: Shell, bob: User, alice: User
) -> None:
    path = shell_path(shell.session, shell.shell_id)
    for cookie, wanted, code in (
        (await cookie_of(bob), path, 4404),
        ("", path, 4401),
        (await cookie_of(alice), shell_path(shell.session, "shell-unknown"), 4404),
    ):
        page = ShellPage(wanted, cookie)
        await page.connect()
        assert await page.read_until_closed() == code
        await page.close()


async def test_shell_of_another_session_is_not_found(
    shell: Shell, alice: User, open_page: OpenPage
) -> None:
    other = await Session.objects.acreate(
        owner=alice, title="Other", provider="scripted", model="scripted", image="child"
    )
    page = ShellPage(shell_path(other, shell.shell_id), await cookie_of(alice))
    await page.connect()
    assert await page.read_until_closed() == 4404


async def test_access_is_asked_for_again(
    shell: Shell, alice: User, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "SESSION_CHECK_S", 0.05)
    page = await open_page(alice)
    await Session.objects.filter(id=shell.session_id).aupdate(deletion_requested_at=timezone.now())
    assert await page.read_until_closed() == 4404


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "attach", "viewer": "x", "offset": None, "is_new": True},
        {"type": "attach", "viewer": "0" * 32, "offset": -1, "is_new": True},
        {"type": "resize", "columns": 0, "rows": 10},
        {"type": "resize", "columns": 10**9, "rows": 10},
        {"type": "ack", "offset": 1 << 50},
        {"type": "nothing"},
        {"type": "ack"},
    ],
)
async def test_bad_frame_closes(
    alice: User, open_page: OpenPage, frame: dict[str, object]
) -> None:
    page = await open_page(alice)
    await page.socket.send_json_to(frame)
    assert await page.read_until_closed() == 4400


async def test_input_out_of_place_closes(alice: User, open_page: OpenPage) -> None:
    page = await open_page(alice)
    await page.type(b"x", offset=1000)
    assert await page.read_until_closed() == 4400


# Typing and looking


async def test_opener_types_and_sees(alice: User, open_page: OpenPage) -> None:
    page = await open_page(alice)
    assert page.keyboard["is_mine"]
    await echoed(page, "hello")
    assert page.hello["shell"]["user"] == "alice"


async def test_log_has_what_was_shown_and_not_what_was_typed(
    shell: Shell, alice: User, open_page: OpenPage
) -> None:
    page = await open_page(alice)
    await page.type(b"stty -echo; read secret; stty echo\n")
    await page.read_until(b"stty echo\r\n")
    await asyncio.sleep(0.2)
    await page.type(b"my-password\n")
    await echoed(page, "hello")
    await page.type(b"exit 3\n")
    ended = await page.read_to_end()
    assert ended["ending"] == {"kind": "exit", "exit_code": 3}
    events = [event.body for event in await log.read(shell.session_id)]
    stored = b"".join(event.content for event in events if isinstance(event, Output))
    assert stored == page.screen
    assert b"my-password" not in stored
    kinds = [type(event) for event in events]
    assert kinds.count(ShellOpened) == kinds.count(ShellWriter) == kinds.count(ShellEnded) == 1
    assert await Shell.objects.filter(pk=shell.pk, ended_at__isnull=False).aexists()


async def test_late_watcher_sees_the_same_screen(
    alice: User, charlie: User, open_page: OpenPage
) -> None:
    page = await open_page(alice)
    await echoed(page, "hello")
    watcher = await open_page(charlie)
    await watcher.read_until(b"hello-done")
    await echoed(page, "again")
    await watcher.read_until(b"again-done")
    assert page.screen.startswith(watcher.screen) or watcher.screen.startswith(page.screen)
    assert not watcher.keyboard["is_mine"]
    assert watcher.keyboard["user"] == "alice"


async def test_characters_cut_anywhere_arrive_whole(alice: User, open_page: OpenPage) -> None:
    page = await open_page(alice)
    word = "äöü→😀".encode()
    for i in range(len(word)):
        await page.type(word[i : i + 1])
        await asyncio.sleep(0.01)
    await page.type(b"\x01echo \n")
    await page.read_until(word + b"\r\n")


async def test_only_the_writer_types(alice: User, charlie: User, open_page: OpenPage) -> None:
    page = await open_page(alice)
    watcher = await open_page(charlie)
    await watcher.type(b"echo intruder\n", offset=0)
    await watcher.say("resize", columns=33, rows=11)
    await echoed(page, "hello")
    assert b"intruder" not in page.screen
    assert (33, 11) not in page.sizes


async def test_takeover_is_seen_by_all(
    shell: Shell, alice: User, charlie: User, open_page: OpenPage
) -> None:
    page = await open_page(alice)
    watcher = await open_page(charlie)
    await watcher.say("take")
    await watcher.until(is_mine=True)
    await page.until(is_mine=False, user="charlie")
    await page.type(b"echo late\n")
    await echoed(watcher, "hello")
    assert b"late" not in watcher.screen
    writers = [
        event.body.user
        for event in await log.read(shell.session_id)
        if isinstance(event.body, ShellWriter)
    ]
    assert writers == ["alice", "charlie"]


async def test_two_pages_of_one_person_are_two(alice: User, open_page: OpenPage) -> None:
    first = await open_page(alice)
    second = await open_page(alice)
    assert first.keyboard["is_mine"]
    assert not second.keyboard["is_mine"]


async def test_reloaded_page_gets_its_keyboard_back(
    alice: User, charlie: User, open_page: OpenPage
) -> None:
    page = await open_page(alice)
    watcher = await open_page(charlie)
    await page.close()
    await watcher.until(viewer="")
    again = await open_page(alice, token=page.token)
    assert again.keyboard["is_mine"]
    await watcher.until(user="alice")


async def test_free_keyboard_is_there_to_take(
    alice: User, charlie: User, open_page: OpenPage
) -> None:
    page = await open_page(alice)
    watcher = await open_page(charlie)
    await page.close()
    await watcher.until(viewer="")
    await watcher.say("take")
    await watcher.until(is_mine=True)
    again = await open_page(alice, token=page.token)
    assert not again.keyboard["is_mine"]


async def test_former_socket_of_a_page_types_no_more(alice: User, open_page: OpenPage) -> None:
    page = await open_page(alice)
    again = await open_page(alice, token=page.token)
    await page.until(is_mine=False)
    assert again.keyboard["is_mine"]
    await echoed(again, "hello")


async def test_the_page_that_opened_it_has_the_keyboard_whoever_looks_first(
    sandbox_runtime: Runtime, agent_session: Session, alice: User
) -> None:
    """Another page of the same person can learn of the shell before the answer is there."""
    token = "0123456789abcdef" * 2
    shell = await sandbox_runtime.shells.open(
        session=agent_session, user=alice, size=TerminalSize(80, 24), viewer=token
    )
    other, opener = await page_of(shell, alice), await page_of(shell, alice, token=token)
    for page in (other, opener):
        await page.attach()
    await opener.until(is_mine=True)
    assert not other.keyboard["is_mine"]
    for page in (other, opener):
        await page.close()


async def _resizes(shell: Shell) -> list[ShellResized]:
    events = await log.read(shell.session_id)
    return [event.body for event in events if isinstance(event.body, ShellResized)]


async def test_writers_size_is_everybodys(
    shell: Shell, alice: User, charlie: User, open_page: OpenPage
) -> None:
    page = await open_page(alice)
    watcher = await open_page(charlie)
    await page.read_until(b"$")  # printed for the first size
    await page.say("resize", columns=101, rows=31)
    await page.type(b"until stty size | grep -q '31 1'01; do sleep 0.05; done; stty size\n")
    await page.read_until(b"31 101\r\n")
    await watcher.read_until(b"31 101\r\n")
    assert watcher.sizes[-1] == page.sizes[-1] == (101, 31)
    async with asyncio.timeout(20):  # until it is stored
        while not (resized := await _resizes(shell)):  # noqa: ASYNC110 - another task
            await asyncio.sleep(0.01)
    assert [(event.columns, event.rows) for event in resized] == [(101, 31)]
    late = await open_page(charlie)
    await late.read_until(b"31 101\r\n")
    assert late.sizes == [(80, 24), (101, 31)]


async def test_control_c(alice: User, open_page: OpenPage) -> None:
    page = await open_page(alice)
    # The job itself says so: before it has the terminal, bash alone would hear the key.
    await page.type(b"sh -c 'echo rea\"\"dy; exec sleep 60'\n")
    await page.read_until(b"ready\r\n")
    await page.type(b"\x03")
    await echoed(page, "free")


async def test_paste_of_a_megabyte_arrives_whole(
    sandbox_runtime: Runtime, agent_session: Session, alice: User, open_page: OpenPage
) -> None:
    page = await open_page(alice)
    pasted = b"".join(b"%06d %s\n" % (i, b"x" * 57) for i in range(PASTE_BYTES // 65 + 1))
    await page.type(f"head -c {len(pasted)} | sha256sum; echo al''l\n".encode())
    await page.read_until(b"l\r\n")
    await page.paste(pasted)
    await page.read_until(b"all\r\n", timeout_s=60)
    assert hashlib.sha256(pasted).hexdigest().encode() in page.screen


# Coming back


async def test_page_comes_back_without_gap_or_double(alice: User, open_page: OpenPage) -> None:
    page = await open_page(alice)
    await page.type(b"for i in $(seq 200); do echo tick $i; sleep 0.01; done; echo don''e\n")
    for number in (20, 60, 120):
        await page.read_until(f"tick {number}\r\n".encode())
        await page.close()
        await asyncio.sleep(0.1)
        await page.attach(is_new=False)
    await page.read_until(b"done\r\n")
    for number in range(1, 201):
        assert page.screen.count(f"tick {number}\r\n".encode()) == 1, number


async def test_nothing_is_typed_twice(alice: User, open_page: OpenPage) -> None:
    """A page that was cut off sends again what it does not know to have arrived."""
    page = await open_page(alice)
    await page.type(b"echo on''ce\n")
    await page.read_until(b"once\r\n")
    await page.close()
    await page.attach(is_new=False)
    await page.until(is_mine=True)
    await page.type(b"echo on''ce\necho twic''e\n", offset=0)
    await page.read_until(b"twice\r\n")
    assert page.screen.count(b"once\r\n") == 1


async def test_next_process_goes_on_with_it(
    sandbox_runtime: Runtime, shell: Shell, alice: User, open_page: OpenPage
) -> None:
    page = await open_page(alice)
    await page.type(b"x=kept; for i in $(seq 100); do echo tick $i; sleep 0.01; done\n")
    await page.read_until(b"tick 20\r\n")
    await page.close()
    await sandbox_runtime.shells.aclose()
    await sandbox_runtime.sandboxes.close_channels()
    await sandbox_runtime.shells.resume()
    await page.attach(is_new=False)
    await page.until(is_attached=True, is_mine=True)
    await page.read_until(b"tick 100\r\n")
    await page.type(b"echo still $x\n")
    await page.read_until(b"still kept\r\n")
    for number in range(1, 101):
        assert page.screen.count(f"tick {number}\r\n".encode()) == 1, number


async def test_lost_container_ends_the_shell(
    sandbox_runtime: Runtime, shell: Shell, alice: User, open_page: OpenPage
) -> None:
    page = await open_page(alice)
    await echoed(page, "hello")
    await sandbox_runtime.sandboxes.backend.remove(shell.container_id)
    ended = await page.read_to_end()
    assert ended["ending"]["kind"] == "container_lost"
    again = await page_of(shell, alice)
    await again.attach()
    await again.read_to_end()
    assert again.screen == page.screen
    await again.close()


async def test_ended_on_purpose_with_the_reason(
    sandbox_runtime: Runtime, shell: Shell, alice: User, open_page: OpenPage
) -> None:
    page = await open_page(alice)
    await page.type(b"sleep 300\n")
    assert sandbox_runtime.shells.is_busy(shell.session_id, within_s=30)
    await sandbox_runtime.shells.end_all(shell.session_id, "The container was suspended.")
    ended = await page.read_to_end()
    assert ended["ending"]["kind"] == "stopped"
    assert ended["reason"] == "The container was suspended."
    assert not sandbox_runtime.shells.is_busy(shell.session_id, within_s=30)


# Looking without keeping up


async def read_until_silent(page: ShellPage) -> None:
    while not await page.socket.receive_nothing(timeout=0.5):
        await page.step()


async def test_page_that_does_not_read_holds_nobody_up_and_catches_up(
    shell: Shell, alice: User, charlie: User, open_page: OpenPage
) -> None:
    page = await open_page(alice)
    idle = await open_page(charlie)
    idle.is_acking = False
    size = 6_000_000
    await page.type(f"head -c {size} /dev/zero | tr '\\0' x; echo al''l\n".encode())
    await page.read_until(b"all\r\n", timeout_s=60)
    await read_until_silent(idle)
    in_flight = idle.offset - idle.start
    assert in_flight <= WINDOW_BYTES + PIECE_BYTES
    await idle.close()
    idle.is_acking = True
    await idle.attach(is_new=False)
    await idle.read_until(b"all\r\n", timeout_s=60)
    assert idle.gaps == []
    assert page.screen.endswith(idle.screen[-size:])


async def test_past_the_cap_a_page_is_told_how_much_is_missing(
    sandbox_runtime: Runtime, agent_session: Session, alice: User, charlie: User
) -> None:
    agent_session.limits = Limits(max_output_bytes=1_000_000).to_json()
    await agent_session.asave()
    row = await sandbox_runtime.shells.open(
        session=agent_session, user=alice, size=TerminalSize(80, 24)
    )
    page, slow = await page_of(row, alice), await page_of(row, charlie)
    slow.is_acking = False
    await page.attach()
    await slow.attach()
    await page.until(is_attached=True)
    size = 8_000_000
    await page.type(f"head -c {size} /dev/zero | tr '\\0' x; echo al''l; exit\n".encode())
    await page.read_to_end()
    await slow.say("ack", offset=slow.offset)
    slow.is_acking = True
    await slow.read_to_end()
    assert len(slow.gaps) == 1
    assert slow.offset == page.offset
    assert slow.screen.endswith(page.screen[-100_000:])
    stored = [event.body for event in await log.read_shell(row.session_id, row.shell_id)]
    stored += [
        event.body
        for event in await log.read(row.session_id, types=["output.dropped", "shell.ended"])
    ]
    dropped = [body.length for body in stored if isinstance(body, OutputDropped)]
    assert dropped
    late = await page_of(row, charlie)
    await late.attach()
    await late.read_to_end()
    assert b"all\r\n" in late.screen
    for each in (page, slow, late):
        await each.close()
