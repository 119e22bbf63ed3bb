"""Who may open, list and close shells, and have their output."""

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient

from sessions import services
from sessions.events import log
from sessions.events.types import Output
from sessions.models import Session, Shell
from sessions.runtime.process import Runtime
from sessions.sandbox.base import TerminalSize

pytestmark = pytest.mark.slow

JSON = {"accept": "application/json"}


async def signed_in(user: User) -> AsyncClient:
    client = AsyncClient()
    await client.aforce_login(user)
    return client


def url(session: Session, rest: str = "") -> str:
    return f"/sessions/{session.id}/shells/{rest}"


async def opened(client: AsyncClient, session: Session) -> dict[str, object]:
    answer = await client.post(url(session), {"columns": "90", "rows": "30"}, headers=JSON)
    assert answer.status_code == 201, answer.content
    return dict(answer.json()["shell"])


async def test_owner_opens_lists_and_closes(
    sandbox_runtime: Runtime, agent_session: Session, alice: User
) -> None:
    client = await signed_in(alice)
    shell = await opened(client, agent_session)
    assert (shell["number"], shell["user"], shell["ending"]) == (1, "alice", None)
    listed = (await client.get(url(agent_session), headers=JSON)).json()["shells"]
    assert listed == [shell]
    closed = await client.post(url(agent_session, f"{shell['shell_id']}/close/"), headers=JSON)
    assert closed.json()["shell"]["ending"]["kind"] == "stopped"
    again = await client.post(url(agent_session, f"{shell['shell_id']}/close/"), headers=JSON)
    assert again.json() == closed.json()


async def test_staff_may_as_well(
    sandbox_runtime: Runtime, agent_session: Session, admin: User
) -> None:
    shell = await opened(await signed_in(admin), agent_session)
    assert shell["user"] == "root"


async def test_stranger_finds_nothing(
    sandbox_runtime: Runtime, agent_session: Session, alice: User, bob: User
) -> None:
    shell = await opened(await signed_in(alice), agent_session)
    client = await signed_in(bob)
    close = url(agent_session, f"{shell['shell_id']}/close/")
    output = f"/sessions/{agent_session.id}/calls/{shell['shell_id']}/output/"
    assert (await client.post(url(agent_session), headers=JSON)).status_code == 404
    assert (await client.get(url(agent_session), headers=JSON)).status_code == 404
    assert (await client.post(close, headers=JSON)).status_code == 404
    assert (await client.get(output, headers=JSON)).status_code == 404
    assert await Shell.objects.filter(ended_at=None).acount() == 1


async def test_nobody_has_to_sign_in(agent_session: Session) -> None:
    client = AsyncClient()
    assert (await client.post(url(agent_session), headers=JSON)).status_code == 401
    assert (await client.get(url(agent_session))).status_code == 302
    assert (await client.post(url(agent_session, "x/close/"), headers=JSON)).status_code == 401


@pytest.mark.parametrize("size", [("0", "24"), ("80", "-1"), ("x", "24"), ("99999", "24")])
async def test_impossible_size_is_refused(
    sandbox_runtime: Runtime, agent_session: Session, alice: User, size: tuple[str, str]
) -> None:
    client = await signed_in(alice)
    fields = {"columns": size[0], "rows": size[1]}
    answer = await client.post(url(agent_session), fields, headers=JSON)
    assert answer.status_code == 400
    assert not await Shell.objects.aexists()


async def test_only_so_many_are_open_at_once(
    sandbox_runtime: Runtime, agent_session: Session, alice: User
) -> None:
    client = await signed_in(alice)
    shells = [await opened(client, agent_session) for _ in range(services.MAX_OPEN_SHELLS)]
    refused = await client.post(url(agent_session), headers=JSON)
    assert refused.status_code == 409
    assert "Close one first" in refused.json()["error"]["message"]
    await client.post(url(agent_session, f"{shells[0]['shell_id']}/close/"), headers=JSON)
    assert (await opened(client, agent_session))["number"] == services.MAX_OPEN_SHELLS + 1


async def test_unknown_shell_is_not_found(
    sandbox_runtime: Runtime, agent_session: Session, alice: User
) -> None:
    client = await signed_in(alice)
    answer = await client.post(url(agent_session, "shell-unknown/close/"), headers=JSON)
    assert answer.status_code == 404


async def test_output_is_downloaded_as_it_came(agent_session: Session, alice: User) -> None:
    shell = await services.shell_create(
        session=agent_session, user=alice, container_id="x", size=TerminalSize(80, 24)
    )
    await log.append(
        agent_session.id,
        [
            Output(shell.shell_id, "pty", 0, b"\x1b[31mred\xff"),
            Output("another", "pty", 0, b"not this"),
            Output(shell.shell_id, "pty", 9, b"end"),
        ],
    )
    client = await signed_in(alice)
    answer = await client.get(
        f"/sessions/{agent_session.id}/calls/{shell.shell_id}/output/?stream=pty"
    )
    body = b"".join([piece async for piece in answer])  # type: ignore[attr-defined]  # streamed
    assert body == b"\x1b[31mred\xffend"
    assert "attachment" in answer["Content-Disposition"]


@pytest.mark.parametrize("viewer", ["", "short", "g" * 32, "A" * 32, "0" * 33])
async def test_a_page_calls_itself_by_32_digits_or_not_at_all(
    sandbox_runtime: Runtime, agent_session: Session, alice: User, viewer: str
) -> None:
    client = await signed_in(alice)
    answer = await client.post(url(agent_session), {"viewer": viewer}, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "viewer"
    assert not await Shell.objects.aexists()
