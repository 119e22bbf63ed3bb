"""A page is told of changes in the folders it shows, by the socket it has."""

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User

from sessions.models import Session
from sessions.runtime import folder_watches
from sessions.runtime.process import Runtime
from sessions.streaming import access
from tests.sandbox.running import run, shell
from tests.streaming.conftest import OpenViewer, Viewer

pytestmark = pytest.mark.slow


async def next_folders(viewer: Viewer) -> dict[str, Any]:
    """The next frame about folders, whatever else comes."""
    known = len(viewer.control)
    while True:
        await viewer.next_frame()
        assert viewer.close_code is None, viewer.close_code
        if len(viewer.control) > known and viewer.control[-1]["type"] == "folders":
            return viewer.control[-1]
        known = len(viewer.control)


async def told(viewer: Viewer, *folders: str) -> None:
    """Read until each of them was told as changed, on a socket that is watched."""
    missing = set(folders)
    while missing:
        frame = await next_folders(viewer)
        missing -= set(frame["changed"])
        assert frame["watched"] or not frame["changed"]


async def watch(viewer: Viewer, *folders: str) -> None:
    await viewer.socket.send_json_to({"type": "watch", "folders": list(folders)})


async def do(runtime: Runtime, session: Session, script: str) -> None:
    channel = await runtime.sandboxes.connect(session)
    outcome = await run(channel, shell(script))
    assert outcome.ending.exit_code == 0, outcome.stderr


async def test_a_page_is_told_of_its_folders_and_of_no_others(
    agent_session: Session, alice: User, open_viewer: OpenViewer, sandbox_runtime: Runtime
) -> None:
    await do(sandbox_runtime, agent_session, "mkdir shown hidden 'with space'")
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await watch(viewer, "", "shown", "with%20space")
    await told(viewer, "", "shown", "with%20space")
    await do(sandbox_runtime, agent_session, "touch hidden/x 'with space/x'")
    frame = await next_folders(viewer)
    assert frame == {
        "type": "folders",
        "changed": ["with%20space"],
        "all": False,
        "watched": True,
    }


async def test_two_pages_share_one_watch_and_each_hears_its_own(
    agent_session: Session,
    alice: User,
    charlie: User,
    open_viewer: OpenViewer,
    sandbox_runtime: Runtime,
) -> None:
    await do(sandbox_runtime, agent_session, "mkdir a b")
    first, second = (
        await open_viewer(agent_session, alice),
        await open_viewer(agent_session, charlie),
    )
    for viewer, folder in ((first, "a"), (second, "b")):
        await viewer.follow()
        await watch(viewer, "", folder)
        await told(viewer, "", folder)
    assert len(sandbox_runtime.folder_watches._watches) == 1
    await do(sandbox_runtime, agent_session, "touch a/x")
    await told(first, "a")
    await do(sandbox_runtime, agent_session, "touch b/x")
    frame = await next_folders(second)
    assert frame["changed"] == ["b"]
    await first.close()
    await do(sandbox_runtime, agent_session, "touch b/y")
    assert (await next_folders(second))["changed"] == ["b"]
    await second.close()
    assert not sandbox_runtime.folder_watches._watches


async def test_a_second_page_hears_of_a_folder_the_first_has_open(
    agent_session: Session, alice: User, open_viewer: OpenViewer, sandbox_runtime: Runtime
) -> None:
    """It may have listed the folder before the change and asks to watch after it."""
    await do(sandbox_runtime, agent_session, "mkdir a")
    first, second = (
        await open_viewer(agent_session, alice),
        await open_viewer(agent_session, alice),
    )
    await first.follow()
    await watch(first, "a")
    await told(first, "a")
    await second.follow()
    await watch(second, "a")
    await told(second, "a")


async def test_a_folder_made_anew_under_its_name_is_watched_again(
    agent_session: Session, alice: User, open_viewer: OpenViewer, sandbox_runtime: Runtime
) -> None:
    await do(sandbox_runtime, agent_session, "mkdir a")
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await watch(viewer, "", "a")
    await told(viewer, "", "a")
    await do(sandbox_runtime, agent_session, "rmdir a")
    await told(viewer, "a")
    await asyncio.sleep(0.3)
    await do(sandbox_runtime, agent_session, "mkdir a")
    await told(viewer, "a")
    await asyncio.sleep(0.3)
    await do(sandbox_runtime, agent_session, "touch a/x")
    await told(viewer, "a")


async def test_watching_wakes_no_container_and_begins_once_there_is_one(
    agent_session: Session, alice: User, open_viewer: OpenViewer, sandbox_runtime: Runtime
) -> None:
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await watch(viewer, "")
    await asyncio.sleep(folder_watches.CHANNEL_LOOK_S * 2)
    assert await sandbox_runtime.sandboxes.backend.containers() == []
    await do(sandbox_runtime, agent_session, "touch x")
    await told(viewer, "")


async def test_a_lost_channel_is_owned_up_to_and_the_next_one_is_watched(
    agent_session: Session, alice: User, open_viewer: OpenViewer, sandbox_runtime: Runtime
) -> None:
    await do(sandbox_runtime, agent_session, "mkdir a")
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await watch(viewer, "a")
    await told(viewer, "a")
    channel = sandbox_runtime.sandboxes.channel_now(agent_session.id)
    assert channel is not None
    await channel.close()
    while (await next_folders(viewer))["watched"]:
        pass
    await do(sandbox_runtime, agent_session, "touch a/x")
    await told(viewer, "a")


async def test_an_empty_list_ends_the_watch(
    agent_session: Session, alice: User, open_viewer: OpenViewer, sandbox_runtime: Runtime
) -> None:
    await do(sandbox_runtime, agent_session, "mkdir a")
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await watch(viewer, "a")
    await told(viewer, "a")
    await watch(viewer)
    await viewer.read_to(0)
    await asyncio.sleep(0.2)
    assert not sandbox_runtime.folder_watches._watches


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "watch"},
        {"type": "watch", "folders": "a"},
        {"type": "watch", "folders": [5]},
        {"type": "watch", "folders": [".."]},
        {"type": "watch", "folders": ["/etc"]},
        {"type": "watch", "folders": ["a b"]},
        {"type": "watch", "folders": ["%zz"]},
        {"type": "watch", "folders": [str(n) for n in range(201)]},
        {"type": "watch", "folders": [], "after": 0},
    ],
)
async def test_bad_frames_end_the_socket(
    agent_session: Session, alice: User, open_viewer: OpenViewer, frame: dict[str, Any]
) -> None:
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await viewer.socket.send_json_to(frame)
    assert await viewer.read_until_closed() == 4400


async def test_a_socket_that_does_not_follow_watches_nothing(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    viewer = await open_viewer(agent_session, alice)
    assert await viewer.connect()
    await watch(viewer, "")
    assert await viewer.read_until_closed() == 4400


async def test_others_and_strangers_are_told_nothing(
    agent_session: Session, bob: User, open_viewer: OpenViewer, sandbox_runtime: Runtime
) -> None:
    await do(sandbox_runtime, agent_session, "mkdir a")
    for user, code in ((bob, 4404), (None, 4401)):
        viewer = await open_viewer(agent_session, user)
        assert await viewer.connect()
        await watch(viewer, "a")
        assert await viewer.read_until_closed() == code
        assert not viewer.control
    assert not sandbox_runtime.folder_watches._watches


async def test_who_is_shut_out_while_watching_is_told_no_more(
    agent_session: Session,
    alice: User,
    open_viewer: OpenViewer,
    sandbox_runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "USER_CHECK_S", 0.05)
    await do(sandbox_runtime, agent_session, "mkdir a")
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await watch(viewer, "a")
    await told(viewer, "a")
    await User.objects.filter(pk=alice.pk).aupdate(is_active=False)
    assert await viewer.read_until_closed() == 4401
    await viewer.close()
    assert not sandbox_runtime.folder_watches._watches
