"""SIGKILL of everything while a container is claimed or made, suspended, resumed or removed.

Each time with a session of its own that nobody else needs, at a moment within the step. What is left
over shows at the end of the round, when nothing may remain.
"""

import asyncio
import uuid

from tests.chaos.faults.base import Fault, Scene, in_thread
from tests.chaos.load import LIMITS, wait_for

LONGEST_STEP_S = 1.0
SUSPENDS_WITHIN_S = 7.0
"""The reaper looks for idle containers every 5 s."""
READY_TIMEOUT_S = 90.0
TASK = "```bash\necho kept >> kept\n```"


async def _spare(scene: Scene) -> uuid.UUID:
    """A session that has done its one turn."""
    session_id = await scene.load.insist(lambda: scene.load.client.create_session(TASK, **LIMITS))
    if not await wait_for(lambda: not scene.database.open_turns(session_id), READY_TIMEOUT_S):
        raise AssertionError(f"session {session_id}: its turn does not end")
    return session_id


async def _kill_within(scene: Scene, longest_s: float) -> str:
    pause_s = scene.pause_s(longest_s)
    await asyncio.sleep(pause_s)
    await in_thread(scene.installation.kill_all)
    await in_thread(scene.installation.start_all)
    return f"{pause_s:.2f} s in"


async def _delete(scene: Scene, session_id: uuid.UUID) -> None:
    await scene.load.insist(lambda: scene.load.client.delete(session_id))


async def begin(scene: Scene) -> str:
    """With a container from the pool, or one of its own where the pool is empty just now."""
    session_id = await scene.load.insist(lambda: scene.load.client.create_session(TASK, **LIMITS))
    said = await _kill_within(scene, LONGEST_STEP_S)
    await _delete(scene, session_id)
    return said


async def suspend(scene: Scene) -> str:
    session_id = await _spare(scene)
    await in_thread(scene.database.let_rest, session_id)
    said = await _kill_within(scene, SUSPENDS_WITHIN_S)
    await _resume(scene, session_id)
    await _delete(scene, session_id)
    return said


async def resume(scene: Scene) -> str:
    session_id = await _spare(scene)
    await in_thread(scene.database.let_rest, session_id)
    if not await wait_for(lambda: not scene.database.container_id(session_id), READY_TIMEOUT_S):
        raise AssertionError(f"session {session_id}: it is not suspended")
    resuming = asyncio.create_task(_resume(scene, session_id))
    said = await _kill_within(scene, LONGEST_STEP_S)
    await resuming
    await _delete(scene, session_id)
    return said


async def _resume(scene: Scene, session_id: uuid.UUID) -> None:
    """Its file must be there, in whatever container."""

    def download() -> bytes:
        try:
            return scene.load.client.download(session_id, "kept")
        except AssertionError as error:
            if ": 503 " in str(error):
                raise ConnectionError(str(error)) from error  # asked again, as for no server
            raise

    kept = await scene.load.insist(download)
    if kept != b"kept\n":
        raise AssertionError(f"session {session_id}: its file holds {kept!r}")


async def delete(scene: Scene) -> str:
    session_id = await _spare(scene)
    await _delete(scene, session_id)
    return await _kill_within(scene, LONGEST_STEP_S)


FAULTS = (
    Fault("killed while a session begins", begin),
    Fault("killed while one is suspended", suspend, weight=0.7),
    Fault("killed while one is resumed", resume, weight=0.7),
    Fault("killed while one is deleted", delete),
)
