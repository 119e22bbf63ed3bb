"""SIGKILL of everything while a container is claimed or made, suspended, resumed or removed, and
while the files of one are archived or restored.

Each time with a session of its own that nobody else needs, at a moment within the step. What is left
over shows at the end of the round, when nothing may remain.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Callable

from tests.chaos.faults.base import Fault, Scene, in_thread
from tests.chaos.load import LIMITS, wait_for

LONGEST_STEP_S = 1.0
SUSPENDS_WITHIN_S = 7.0
"""The reaper looks for idle containers every 5 s."""
READY_TIMEOUT_S = 90.0
TASK = "```bash\necho kept >> kept\n```"
LONGEST_ARCHIVING_S = 2.5
BULK_BYTES = 6_000_000
BULK_TASK = f"""\
```bash
echo kept >> kept
python3 -c "import random; open('bulk', 'wb').write(random.Random('berth').randbytes({BULK_BYTES}))"
```"""
BULK = random.Random("berth").randbytes(BULK_BYTES)
"""Enough for an archive of it to take a while."""


async def _spare(scene: Scene, task: str = TASK) -> uuid.UUID:
    """A session that has done its one turn."""
    session_id = await scene.load.insist(lambda: scene.load.client.create_session(task, **LIMITS))
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
    session_id = await _suspended(scene, TASK)
    resuming = asyncio.create_task(_resume(scene, session_id))
    said = await _kill_within(scene, LONGEST_STEP_S)
    await resuming
    await _delete(scene, session_id)
    return said


async def _suspended(scene: Scene, task: str) -> uuid.UUID:
    session_id = await _spare(scene, task)
    await in_thread(scene.database.let_rest, session_id)
    if not await wait_for(lambda: not scene.database.container_id(session_id), READY_TIMEOUT_S):
        raise AssertionError(f"session {session_id}: it is not suspended")
    return session_id


async def _resume(scene: Scene, session_id: uuid.UUID) -> None:
    """Its file must be there, in whatever container."""
    await _check_file(scene, session_id, "kept", b"kept\n")


async def _check_file(scene: Scene, session_id: uuid.UUID, name: str, wanted: bytes) -> None:
    def download() -> bytes:
        try:
            return scene.load.client.download(session_id, name)
        except AssertionError as error:
            if ": 503 " in str(error) or "bytes are missing" in str(error):
                raise ConnectionError(str(error)) from error  # asked again, as for no server
            raise

    found = await scene.load.insist(download)
    if found != wanted:
        said = f"{len(found)} bytes {found[:20]!r}, not those {len(wanted)}"
        raise AssertionError(f"session {session_id}: its file {name} holds {said}")


async def archive(scene: Scene) -> str:
    """At a moment after the row says that it is at it: the reaper's own moment is not known."""
    session_id = await _suspended(scene, BULK_TASK)
    await in_thread(scene.database.let_lie, session_id)
    await _soon(lambda: scene.database.container_id(session_id), "nobody archives it")
    said = await _kill_within(scene, LONGEST_ARCHIVING_S)
    is_archived = scene.database.is_archived(session_id)
    await _restore(scene, session_id)
    await _delete(scene, session_id)
    return f"{said}, {'' if is_archived else 'not '}archived by then"


async def restore(scene: Scene) -> str:
    session_id = await _suspended(scene, BULK_TASK)
    await in_thread(scene.database.let_lie, session_id)
    if not await wait_for(lambda: scene.database.is_archived(session_id), READY_TIMEOUT_S):
        raise AssertionError(f"session {session_id}: it is not archived")
    restoring = asyncio.create_task(_restore(scene, session_id))
    try:
        await _soon(lambda: scene.database.container_id(session_id), "nobody restores it")
        said = await _kill_within(scene, LONGEST_ARCHIVING_S)
        is_archived = scene.database.is_archived(session_id)
        await restoring
    finally:
        restoring.cancel()
    await _delete(scene, session_id)
    return f"{said}, {'archived again' if is_archived else 'under way or done'} by then"


async def _soon(is_so: Callable[[], object], otherwise: str) -> None:
    """Look often: what follows is to hit what begins now."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not await in_thread(is_so):
        if time.monotonic() > deadline:
            raise AssertionError(otherwise)
        await asyncio.sleep(0.02)


async def _restore(scene: Scene, session_id: uuid.UUID) -> None:
    """All its bytes must be there, from the volume or the archive."""
    await _check_file(scene, session_id, "kept", b"kept\n")
    await _check_file(scene, session_id, "bulk", BULK)


async def delete(scene: Scene) -> str:
    session_id = await _spare(scene)
    await _delete(scene, session_id)
    return await _kill_within(scene, LONGEST_STEP_S)


FAULTS = (
    Fault("killed while a session begins", begin),
    Fault("killed while one is suspended", suspend, weight=0.7),
    Fault("killed while one is resumed", resume, weight=0.7),
    Fault("killed while one is deleted", delete),
    Fault("killed while one is archived", archive, weight=0.7),
    Fault("killed while one is restored", restore, weight=0.7),
)
