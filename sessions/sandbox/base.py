"""The sandbox contract: a backend of few verbs, and what a channel to the guest offers on top.

A backend makes containers whose PID 1 is the guest and opens byte streams to it. Everything a
session does with its container (commands, files, figures) goes through a `Sandbox`, which speaks
the guest protocol (docs/guest-protocol.md) over such a stream. Paths of files are relative to the
workspace, POSIX, with undecodable bytes kept by `surrogateescape`; "" is the workspace itself.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from sessions.events.types import Ending, Stream
from sessions.sandbox.limits import Limits

EntryKind: TypeAlias = Literal["file", "folder", "symlink", "other"]
ArchiveFormat: TypeAlias = Literal["zip", "tar"]


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """`session_id` goes into a label; `workspace_volume` is created when missing."""

    session_id: str
    image: str
    workspace_volume: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    container_id: str
    session_id: str
    is_running: bool
    oom_killed: bool = False
    exit_code: int | None = None


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
        """Create and start a container; returns its id. Raises: ImageNotFoundError."""
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
        """Workspace volumes of this installation: volume name to session id."""
        ...

    async def images(self) -> list[ImageInfo]:
        """Images a session may use, by their names."""
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


class Sandbox(Protocol):
    """A live connection to one guest. Raises SandboxUnavailableError from every verb once lost.

    File verbs raise the FileAccessError family; they act as the workspace's user, never as root,
    and never follow a path or a symlink out of the workspace.
    """

    @property
    def is_open(self) -> bool: ...

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

    async def usage(self) -> Usage: ...

    async def close(self) -> None: ...
