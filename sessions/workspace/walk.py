"""Every file of a workspace, whatever folder it is in."""

from collections import deque
from collections.abc import AsyncIterator

from sessions.errors import FileAccessError
from sessions.sandbox.base import Entry, Sandbox

MAX_WALKED_ENTRIES = 100_000


async def walk_files(
    sandbox: Sandbox, *, max_entries: int = MAX_WALKED_ENTRIES
) -> AsyncIterator[Entry]:
    """Plain files only, those of the upper folders first; symlinks are not followed. Ends after
    `max_entries` things of any kind. Folders that vanish meanwhile or cannot be read are left out.

    Raises: SandboxUnavailableError.
    """
    folders, left = deque([""]), max_entries
    while folders:
        folder = folders.popleft()
        try:
            entries = await sandbox.list_dir(folder)
        except FileAccessError:
            continue
        for entry in entries:
            left -= 1
            if left < 0:
                return
            if entry.kind == "folder":
                folders.append(entry.path)
            elif entry.kind == "file":
                yield entry
