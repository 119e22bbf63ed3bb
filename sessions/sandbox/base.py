"""The sandbox contract: a backend of few verbs, and what a channel to the guest offers on top.

A backend makes containers whose PID 1 is the guest and opens byte streams to it. Everything a
session does with its container (commands, files, figures) goes through a `Sandbox`, which speaks
the guest protocol (docs/guest-protocol.md) over such a stream. Paths of files are relative to the
workspace, POSIX, with undecodable bytes kept by `surrogateescape`; "" is the workspace itself.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from sessions.events.types import Ending, Stream
from sessions.sandbox import names
from sessions.sandbox.limits import Limits
from sessions.sandbox.setup import AGENT, Mount, User

EntryKind: TypeAlias = Literal["file", "folder", "symlink", "other"]
ArchiveFormat: TypeAlias = Literal["zip", "tar"]
WatchKind: TypeAlias = Literal["watching", "changed", "gone", "unwatchable", "resync"]


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """`name` is the container's id from then on. Whoever asks for a container chooses and notes
    it first, so that what a crash leaves half made is found again.

    `session_id` goes into a label, `names.POOL` for a container that waits for its session;
    `workspace_volume` is created when missing.
    """

    session_id: str
    image: str
    workspace_volume: str
    limits: Limits
    name: str = field(default_factory=names.container_name)
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    container_id: str
    """The name it was created by."""
    session_id: str
    """Of whom it was made for, `names.POOL` when that was nobody yet."""
    is_running: bool
    """Also while it is paused: what runs in it goes on later."""
    oom_killed: bool = False
    exit_code: int | None = None
    engine_id: str = ""
    """What the engine calls it; sessions of old versions know their container by this."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What `doctor` reports about the engine."""

    version: str
    api_version: str
    storage_driver: str
    backing_filesystem: str
    cgroup_version: str
    security_options: tuple[str, ...]
    runtimes: tuple[str, ...]
    unenforced_limits: tuple[str, ...] = ()
    """Of memory, swap, cpu and pids: those this kernel gives the engine no means for."""
    has_disk_quota: bool = False
    """Whether the engine holds containers and volumes to a size."""


class DuplexStream(Protocol):
    """One byte stream to the guest. Both directions wait, neither buffers without bound."""

    async def read(self) -> bytes:
        """The next bytes, `b""` at the end. Raises: SandboxUnavailableError."""
        ...

    async def write(self, data: bytes) -> None:
        """Raises: SandboxUnavailableError when the other end is gone."""
        ...

    async def close(self) -> None: ...


class SandboxBackend(Protocol):
    """Every verb raises EngineUnavailableError when the engine does not answer."""

    async def create(self, spec: ContainerSpec) -> str:
        """Create and start a container; returns its id, which is `spec.name`.

        Raises: ImageNotFoundError. Nothing is left behind then.
        """
        ...

    async def set_limits(self, container_id: str, limits: Limits) -> None:
        """Change what the engine enforces, at once. Raises: ContainerLostError."""
        ...

    async def open(self, container_id: str) -> DuplexStream:
        """Raises: ContainerLostError when there is no such running container."""
        ...

    async def inspect(self, container_id: str) -> ContainerInfo:
        """Raises: ContainerLostError when there is none."""
        ...

    async def remove(self, container_id: str) -> None:
        """Kill and remove. Nothing happens when it is gone already."""
        ...

    async def remove_volume(self, name: str) -> None:
        """Nothing happens when it is gone already."""
        ...

    async def containers(self) -> list[ContainerInfo]:
        """All containers of this installation, running or not."""
        ...

    async def volumes(self) -> dict[str, str]:
        """Workspace volumes of this installation: volume name to session id, or `names.POOL`."""
        ...

    async def images(self) -> list[ImageInfo]:
        """Images a session may use, by their names."""
        ...

    async def image_id(self, name: str) -> str:
        """Names the image's content: another one after a rebuild. Raises: ImageNotFoundError."""
        ...

    async def engine(self) -> EngineInfo: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class TerminalSize:
    """Character cells."""

    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """One command. The same `exec_id` twice starts it once: the second attaches to the first."""

    exec_id: str
    argv: tuple[str, ...]
    cwd: str = "/workspace"
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the guest's base environment (PATH, HOME, USER, LANG, TERM)."""
    timeout_s: float | None = None
    stdin: bool = False
    """False closes standard input at once."""
    stdout_offset: int = 0
    """First byte of stdout wanted: 0 for a new command, what is stored for a re-attach."""
    stderr_offset: int = 0
    pty: TerminalSize | None = None
    """A terminal of this size instead of the three pipes: all output is of the stream `pty`, and
    `write_stdin` types."""
    pty_offset: int = 0
    keep_log: bool = True
    """Keep all output in a file in the container, its path in `ExecEnded.log_path`."""
    user: User = AGENT


@dataclass(frozen=True, slots=True)
class ExecOutput:
    stream: Stream
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ExecEnded:
    ending: Ending
    duration_ms: int
    stdout_bytes: int
    stderr_bytes: int
    log_path: str = ""
    pty_bytes: int = 0


class Exec(Protocol):
    """A running command. Iterate to the end, which is always one `ExecEnded`.

    Not iterating stops the command's output (flow control), never loses it. Losing the channel
    raises SandboxUnavailableError from the iterator: the command itself may go on, and can be
    attached to again by its `exec_id`.
    """

    exec_id: str

    def __aiter__(self) -> AsyncIterator[ExecOutput | ExecEnded]: ...

    async def ack(self, stream: Stream, offset: int) -> None:
        """All bytes before `offset` are stored; the guest may forget them."""
        ...

    async def stop(self) -> None:
        """Kill the whole process tree. The iterator then yields `ExecEnded` with `stopped`."""
        ...

    async def detach(self) -> None:
        """Follow it no longer; it goes on and can be attached to again."""
        ...

    async def write_stdin(self, data: bytes) -> None:
        """Waits while the command does not read. What comes after its end is dropped."""
        ...

    def write_stdin_now(self, data: bytes) -> int:
        """As much of it as there is room for without waiting; returns how many bytes that is."""
        ...

    async def stdin_offset(self) -> int:
        """How many bytes of input the guest has got, by any attachment, or was sent by this one.

        Waits for the guest to tell. Raises: SandboxError, its subclasses, as iterating does.
        """
        ...

    async def resize(self, size: TerminalSize) -> None:
        """Tell the terminal's programs of a new size. Nothing happens once it is over."""
        ...

    async def close_stdin(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in the workspace. `name` may hold any byte but `/` and NUL (surrogateescape)."""

    name: str
    path: str
    kind: EntryKind
    size: int
    modified_at: float
    """Unix time in seconds."""
    mode: int
    symlink_target: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Figures the guest reads from its own cgroup; None where the kernel does not tell."""

    memory_bytes: int | None
    memory_limit_bytes: int | None
    memory_peak_bytes: int | None
    cpu_seconds: float | None
    pids: int | None
    pids_limit: int | None
    disk_free_bytes: int | None
    disk_total_bytes: int | None
    disk_used_bytes: int | None
    """What the session wrote, as of the guest's last count; None before the first."""
    disk_limit_bytes: int | None
    programs: int | None
    """Processes of commands and shells, those included that commands left behind; None when they
    were not asked for."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """News of a watched folder. `path` is as it was given to `add`, empty for `resync`.

    - `watching`: from now on every change is told; look at the folder once more.
    - `changed`: something directly in it is not as it was.
    - `gone`: the path no longer leads to that folder, and is not watched any more.
    - `unwatchable`: it is not watched, `reason` says why: a code of the guest protocol, `limit`
      (of folders, or of the kernel) or `network` (a file system that does not tell).
    - `resync`: changes were missed; look at everything.
    """

    kind: WatchKind
    path: str
    reason: str = ""


class FolderWatch(Protocol):
    """Iterate for the news; it ends with an exception, when the watch cannot go on.

    What happens between two looks at the iterator is told once: nothing is missed, and nothing
    piles up. Watch the folders above a folder as well, or its being moved goes unseen.
    """

    def __aiter__(self) -> AsyncIterator[WatchEvent]: ...

    async def add(self, path: str) -> None:
        """Answered by `watching` or `unwatchable`. Once more begins anew."""
        ...

    async def remove(self, path: str) -> None:
        """News that were on their way still come."""
        ...


class Sandbox(Protocol):
    """A live connection to one guest. Raises SandboxUnavailableError from every verb once lost.

    File verbs raise the FileAccessError family; they act as the workspace's user, never as root,
    and never follow a path or a symlink out of the workspace.
    """

    @property
    def is_open(self) -> bool: ...

    @property
    def is_in_use(self) -> bool:
        """Whether a command is followed, or a request waits for its answer."""
        ...

    async def exec(self, request: ExecRequest) -> Exec: ...

    async def list_dir(self, path: str) -> list[Entry]: ...

    async def stat(self, path: str) -> Entry: ...

    def read_file(
        self, path: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]: ...

    async def write_file(
        self, path: str, data: bytes | AsyncIterable[bytes], *, overwrite: bool = True
    ) -> Entry:
        """Atomic: the file appears whole or not at all. Missing parent folders are made."""
        ...

    async def make_dir(self, path: str) -> Entry: ...

    async def rename(self, source: str, target: str) -> Entry:
        """Raises: EntryExistsError when `target` exists."""
        ...

    async def remove(self, path: str) -> None:
        """Removes a file, a symlink itself, or a folder with all in it."""
        ...

    def archive(self, path: str, *, format: ArchiveFormat) -> AsyncIterator[bytes]:
        """The folder at `path` as a streamed archive. Symlinks stay symlinks."""
        ...

    def archive_all(self) -> AsyncIterator[bytes]:
        """The whole workspace as a tar archive, whatever the permissions of what is in it.

        Raises, behind the last piece: FileAccessError when bytes of a file were left out.
        """
        ...

    async def unpack(self, data: AsyncIterable[bytes]) -> None:
        """Fill the workspace from a tar archive; all becomes its user's.

        Raises: InvalidInputError for what is no whole archive, DiskFullError.
        """
        ...

    async def add_skills(self, data: AsyncIterable[bytes]) -> None:
        """Put folders into `names.SKILLS_PATH`, where commands can read but not change them, from a
        tar archive of plain files in these folders. One that is there already stays.

        Raises: InvalidInputError for what is no such archive, DiskFullError, FileAccessError when
        the image has something of its own there.
        """
        ...

    def watch(self) -> AbstractAsyncContextManager[FolderWatch]:
        """One watch for any number of folders, up to 200. Leaving the context ends it."""
        ...

    async def usage(self, *, with_programs: bool = False) -> Usage:
        """Programs are counted only when asked for: that takes a look at every process."""
        ...

    async def is_foreground_busy(self, exec_id: str) -> bool:
        """Whether a program runs in the terminal of this command, as a shell's, beside itself."""
        ...

    async def set_limits(self, *, disk_bytes: int | None) -> None:
        """What the session may write from now on; None for no limit."""
        ...

    async def close(self) -> None: ...
