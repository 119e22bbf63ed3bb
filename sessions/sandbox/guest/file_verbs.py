"""The file verbs. They run in a process of their own, as the workspace's user: what that user may
not do the kernel refuses, and nothing here becomes root's."""

from __future__ import annotations

import errno
import os
from _stat import S_IMODE, S_ISDIR, S_ISREG

from sessions.sandbox.guest import compact_json
from sessions.sandbox.guest.contained import PathError, Place, Workspace
from sessions.sandbox.guest.entries import describe, raw, text
from sessions.sandbox.guest.output import Output
from sessions.sandbox.guest.remove_tree import remove_tree
from sessions.sandbox.guest.upload import UPLOAD_PREFIX, receive_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_ENTRIES_A_LINE = 200
_CODES = {
    errno.ENOENT: "entry_not_found",
    errno.EEXIST: "entry_exists",
    errno.ENOTEMPTY: "entry_exists",
    errno.ENOTDIR: "wrong_entry_kind",
    errno.EISDIR: "wrong_entry_kind",
    errno.ELOOP: "wrong_entry_kind",
    errno.ENXIO: "wrong_entry_kind",
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
}


def load(verb: object) -> None:
    """Import what only this verb needs: late, as it takes memory, yet still as the guest, as its
    user may not be able to read the interpreter's folders."""
    if verb in ("archive", "unpack"):
        __import__("sessions.sandbox.guest." + str(verb))


def is_whole(fields: dict[str, object]) -> bool:
    """An archive of everything, whatever its permissions: read as root, and never followed out."""
    return fields.get("verb") == "archive" and fields.get("whole") is True


def is_of_root(fields: dict[str, object]) -> bool:
    """Whether the request's process stays what the guest is."""
    return fields.get("verb") == "add_skills" or is_whole(fields)


def load_in_child(verb: object) -> None:
    """The same for what takes so much memory that only the request's own process may have it."""
    if verb == "watch":
        __import__("sessions.sandbox.guest.folder_watch")
    if verb == "add_skills":
        __import__("sessions.sandbox.guest.skill_folders")


def run(root: str, fields: dict[str, object]) -> int:
    """Data to standard output, then one JSON object to standard error: a result, or an error."""
    try:
        if fields.get("verb") == "add_skills":
            answer, status = _add_skills(root), 0
        else:
            answer, status = VERBS[str(fields.get("verb"))](Workspace(root), fields), 0
    except PathError as error:
        answer, status = {"code": error.code, "message": error.message}, 1
    except OSError as error:
        code = _CODES.get(error.errno or 0, "file_error")
        answer, status = {"code": code, "message": error.strerror or str(error)}, 1
    os.write(2, compact_json.encode(answer))
    return status


def _path(fields: dict[str, object], name: str = "path") -> bytes:
    value = fields.get(name)
    if not isinstance(value, str):
        raise PathError("bad_request", "bad value for " + name)
    try:
        return raw(value)
    except UnicodeEncodeError:
        raise PathError("entry_not_found", "no file can have this name") from None


def _number(fields: dict[str, object], name: str) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise PathError("bad_request", "bad value for " + name)
    return value


def _answer(place: Place) -> dict[str, object]:
    return {"entry": describe(place.lstat(), place.name, place.folder)}


def _stat(workspace: Workspace, fields: dict[str, object]) -> dict[str, object]:
    return _answer(workspace.place(_path(fields)))


def _list(workspace: Workspace, fields: dict[str, object]) -> dict[str, object]:
    """Lines of JSON, each a list of entries with their names in front; in no order."""
    folder = workspace.place(_path(fields)).open_folder()
    output = Output()
    batch: list[list[object]] = []
    count = 0
    with os.scandir(folder) as found:
        for item in found:
            name = os.fsencode(item.name)
            if name.startswith(UPLOAD_PREFIX):
                continue
            try:
                info = item.stat(follow_symlinks=False)
                batch.append([text(name), *describe(info, name, folder)])
            except FileNotFoundError:
                continue  # removed since
            count += 1
            if len(batch) == _ENTRIES_A_LINE:
                output.write(compact_json.encode(batch) + b"\n")
                batch = []
    output.write(compact_json.encode(batch) + b"\n")
    output.flush()
    return {"count": count}


def _read(workspace: Workspace, fields: dict[str, object]) -> dict[str, object]:
    offset, length = _number(fields, "offset") or 0, _number(fields, "length")
    place = workspace.place(_path(fields))
    _need_file(place)
    fd = place.open(os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    info = os.fstat(fd)
    if not S_ISREG(info.st_mode):
        raise PathError("wrong_entry_kind", "not a file")
    os.lseek(fd, offset, os.SEEK_SET)
    output = Output()
    output.copy(fd, 1 << 62 if length is None else length)
    output.flush()
    return {"size": info.st_size}


def _need_file(place: Place) -> None:
    """Looked at before it is opened: opening a device alone can do something."""
    if not S_ISREG(place.lstat().st_mode):
        raise PathError("wrong_entry_kind", "not a file")


def _write(workspace: Workspace, fields: dict[str, object]) -> dict[str, object]:
    place = workspace.place(_path(fields), follow=False, make_parents=True)
    mode = 0o644
    if not place.name:
        raise PathError("wrong_entry_kind", "not a file")
    try:
        info = place.lstat()
    except FileNotFoundError:
        pass
    else:
        if S_ISDIR(info.st_mode):
            raise PathError("wrong_entry_kind", "a folder is in the place of the file")
        if S_ISREG(info.st_mode):
            mode = S_IMODE(info.st_mode)
    receive_file(place, mode, overwrite=fields.get("overwrite") is True)
    return _answer(place)


def _make_dir(workspace: Workspace, fields: dict[str, object]) -> dict[str, object]:
    place = workspace.place(_path(fields), follow=False, make_parents=True)
    if not place.name:
        raise PathError("entry_exists", "the workspace is there already")
    os.mkdir(place.name, 0o755, dir_fd=place.folder)
    return _answer(place)


def _rename(workspace: Workspace, fields: dict[str, object]) -> dict[str, object]:
    source = workspace.place(_path(fields), follow=False)
    is_folder = S_ISDIR(source.lstat().st_mode)
    target = workspace.place(_path(fields, "target"), follow=False, make_parents=True)
    if not source.name or not target.name:
        raise PathError("wrong_entry_kind", "the workspace itself stays where it is")
    if is_folder or not _link_and_unlink(source, target):
        _need_nothing_at(target)
        os.rename(source.name, target.name, src_dir_fd=source.folder, dst_dir_fd=target.folder)
    return _answer(target)


def _link_and_unlink(source: Place, target: Place) -> bool:
    """Unlike a rename, a link never replaces anything, not even what appears this very moment."""
    try:
        os.link(
            source.name,
            target.name,
            src_dir_fd=source.folder,
            dst_dir_fd=target.folder,
            follow_symlinks=False,
        )
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
            return False  # somebody else's file, or a file system without links
        raise
    os.unlink(source.name, dir_fd=source.folder)
    return True


def _need_nothing_at(target: Place) -> None:
    try:
        target.lstat()
    except FileNotFoundError:
        return
    raise PathError("entry_exists", "something has this name already")


def _remove(workspace: Workspace, fields: dict[str, object]) -> dict[str, object]:
    place = workspace.place(_path(fields), follow=False)
    if not place.name:
        raise PathError("wrong_entry_kind", "the workspace itself cannot be removed")
    if S_ISDIR(place.lstat().st_mode):
        remove_tree(place)
    else:
        os.unlink(place.name, dir_fd=place.folder)
    return {}


def _archive(workspace: Workspace, fields: dict[str, object]) -> dict[str, object]:
    from sessions.sandbox.guest.archive import write_archive  # loaded by `load`

    path = _path(fields)
    if is_whole(fields) and path:
        raise PathError("bad_request", "only all of the workspace is archived as a whole")
    return write_archive(workspace.place(path), str(fields.get("format")))


def _unpack(workspace: Workspace, fields: dict[str, object]) -> dict[str, object]:
    from sessions.sandbox.guest.unpack import unpack  # loaded by `load`

    return unpack(workspace.root)


def _add_skills(root: str) -> dict[str, object]:
    from sessions.sandbox.guest.skill_folders import add_folders  # loaded by `load_in_child`

    return add_folders(root)


def _watch(workspace: Workspace, _fields: dict[str, object]) -> dict[str, object]:
    from sessions.sandbox.guest.folder_watch import watch_folders  # loaded by `load_in_child`

    return watch_folders(workspace)


VERBS: dict[str, Callable[[Workspace, dict[str, object]], dict[str, object]]] = {
    "stat": _stat,
    "list": _list,
    "read": _read,
    "write": _write,
    "make_dir": _make_dir,
    "rename": _rename,
    "remove": _remove,
    "archive": _archive,
    "unpack": _unpack,
    "watch": _watch,
}
