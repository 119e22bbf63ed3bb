"""Files of a container that an answer may cite, as the API cites them."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Any

from sessions import services
from sessions.errors import FileAccessError, InvalidInputError
from sessions.models import Session
from sessions.responses.ids import CONTAINER, CONTAINER_FILE, format_id
from sessions.sandbox.base import Sandbox
from sessions.workspace.files import stat_file
from sessions.workspace.paths import check_path, format_path, name_of

logger = logging.getLogger(__name__)

LOOK_S = 10.0


async def files_to_cite(
    session: Session, sandbox: Sandbox, paths: Collection[str]
) -> Mapping[str, dict[str, Any]]:
    """Those of `paths` that are files, by path. Raises: SandboxError."""
    there: list[str] = []
    try:
        async with asyncio.timeout(LOOK_S):
            for path in sorted(paths):
                try:
                    await stat_file(sandbox, check_path(path))
                except (FileAccessError, InvalidInputError):
                    continue
                there.append(path)
    except TimeoutError:
        logger.warning("session %s: looking for cited files took too long", session.id)
    named = {path: format_path(path) for path in there}
    rows = await services.container_files_seen(session=session, paths=list(named.values()))
    return {
        path: {
            "type": "container_file_citation",
            "container_id": format_id(CONTAINER, session.id),
            "file_id": format_id(CONTAINER_FILE, rows[encoded].id),
            "filename": name_of(path),
        }
        for path, encoded in named.items()
    }
