"""A terminal opened in a session at rest: its container comes back, with its files.

As a page does it: the shell by HTTP, then its websocket.
"""

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient

from sessions.events.types import ContainerState
from sessions.models import ContainerState as State
from sessions.models import Session, Shell
from sessions.runtime.process import Runtime
from tests.runtime.conftest import Log
from tests.streaming.conftest import cookie_of
from tests.streaming.shell_page import ShellPage, shell_path

pytestmark = pytest.mark.slow

JSON = {"accept": "application/json"}
TOKEN = "0123456789abcdef" * 2


@pytest.fixture
async def suspended(sandbox_runtime: Runtime, agent_session: Session) -> Session:
    """Without a container; its workspace has one file."""
    sandboxes = sandbox_runtime.sandboxes
    await (await sandboxes.connect(agent_session)).write_file("kept.txt", b"kept-from-before\n")
    row = await Session.objects.aget(id=agent_session.id)
    await sandboxes.discard(row, State.SUSPENDED, "Unused.")
    assert await sandboxes.backend.containers() == []
    return await Session.objects.aget(id=agent_session.id)


async def state_of(session: Session) -> str:
    return (await Session.objects.aget(id=session.id)).container_state


def url(session: Session) -> str:
    return f"/sessions/{session.id}/shells/"


async def test_owner_has_the_files_again(
    sandbox_runtime: Runtime, suspended: Session, alices: AsyncClient, alice: User
) -> None:
    fields = {"columns": "90", "rows": "30", "viewer": TOKEN}
    answer = await alices.post(url(suspended), fields, headers=JSON)
    assert answer.status_code == 201, answer.content
    assert await state_of(suspended) == "connected"
    assert len(await sandbox_runtime.sandboxes.backend.containers()) == 1
    path = shell_path(suspended, answer.json()["shell"]["shell_id"])
    page = await ShellPage(path, await cookie_of(alice), TOKEN).attach()
    await page.until(is_attached=True, is_mine=True)
    await page.type(b"cat kept.txt\n")
    await page.read_until(b"kept-from-before\r\n")
    await page.close()
    states = [body.state for body in await Log(suspended).of(ContainerState)]
    assert states == ["pending", "connected", "suspended", "pending", "connected"]


async def test_second_user_and_stranger_wake_nothing(
    sandbox_runtime: Runtime, suspended: Session, bobs: AsyncClient
) -> None:
    stranger = AsyncClient()
    assert (await bobs.post(url(suspended), headers=JSON)).status_code == 404
    assert (await stranger.post(url(suspended), headers=JSON)).status_code == 401
    assert not await Shell.objects.aexists()
    assert await state_of(suspended) == "suspended"
    assert await sandbox_runtime.sandboxes.backend.containers() == []


async def test_others_do_not_reach_the_terminal_that_woke_it(
    sandbox_runtime: Runtime, suspended: Session, alices: AsyncClient, bob: User
) -> None:
    answer = await alices.post(url(suspended), {"viewer": TOKEN}, headers=JSON)
    path = shell_path(suspended, answer.json()["shell"]["shell_id"])
    for cookie, code in ((await cookie_of(bob), 4404), ("", 4401)):
        page = ShellPage(path, cookie, TOKEN)
        await page.connect()
        assert await page.read_until_closed() == code
        await page.close()
