"""Fill the workspace from a tar archive, as the workspace's user."""

from __future__ import annotations

import os
import tarfile

from sessions.sandbox.guest.contained import PathError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tarfile import TarInfo

_READ_BYTES = 256 << 10


def unpack(root: str) -> dict[str, object]:
    """Standard input is the archive. Raises: PathError for what is no archive, OSError.

    Where its links and names lead is the user's own business: this is that user's process, and
    the kernel lets it no further than any of their commands.
    """
    folders: list[TarInfo] = []
    count = 0
    try:
        with (
            os.fdopen(0, "rb", _READ_BYTES) as source,
            tarfile.open(fileobj=source, mode="r|", errorlevel=1) as archive,
        ):
            archive.extraction_filter = _as_it_is
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # or all of them would be kept in memory
                count += 1
                if member.isdir():
                    folders.append(_with_mode(member, 0o700))
                archive.extract(member, root, set_attrs=not member.isdir())
            for folder in reversed(folders):
                _set_attributes(archive, folder, root)
        os.sync()  # whoever sent it may throw the archive away next
    except tarfile.TarError as error:
        raise PathError("bad_request", "not a whole tar archive: " + str(error)) from None
    return {"count": count}


def _as_it_is(member: TarInfo, _folder: str) -> TarInfo:
    return member


def _with_mode(member: TarInfo, mode: int) -> TarInfo:
    """A copy that keeps the folder's own mode for later; until then files can be made in it."""
    kept = tarfile.TarInfo(member.name)
    kept.mode, kept.mtime = member.mode, member.mtime
    member.mode = mode
    return kept


def _set_attributes(archive: tarfile.TarFile, folder: TarInfo, root: str) -> None:
    place = os.path.join(root, folder.name)  # noqa: PTH118
    os.utime(place, (folder.mtime, folder.mtime))
    os.chmod(place, folder.mode)  # noqa: PTH101
