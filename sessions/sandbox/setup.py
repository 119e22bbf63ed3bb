"""What a session's containers are set up with, beyond an image and limits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from sessions.errors import InvalidInputError
from sessions.sandbox import names

MAX_VARIABLES = 100
MAX_NAME_LENGTH = 128
MAX_ENV_BYTES = 64 * 1024
"""Names and values together."""
MAX_SETUP_COMMANDS = 16
MAX_SETUP_COMMAND_BYTES = 16 * 1024
MAX_MOUNTS = 8
AGENT_ID = 1000
"""User and group of commands, and of everything in the workspace."""
MAX_USER_ID = 65_533
"""Higher ones mean nobody, or are the guest's own marks."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED_PREFIX = "BERTH_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FOLDER_NAME = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]+")
_OWN_FOLDERS = frozenset(
    [
        "bin",
        "boot",
        "dev",
        "etc",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "proc",
        "root",
        "run",
        "sbin",
        "sys",
        "tmp",
        "usr",
        "var",
        "workspace",
    ]
)
"""Of the root: what an image or Berth itself needs there."""
_OF_THE_GUEST = tuple(map(PurePosixPath, (names.GUEST_PATH, names.SKILLS_PATH)))
_LINKS = tuple(map(PurePosixPath, ("/mnt/data", names.HOSTED_SKILLS_PATH)))
"""They lead into the container's own folders; above them nothing may be, either."""


@dataclass(frozen=True, slots=True)
class User:
    """Whom commands run as."""

    uid: int = AGENT_ID
    gid: int = AGENT_ID

    @property
    def is_root(self) -> bool:
        return self.uid == 0 or self.gid == 0


AGENT = User()
NAMED_USERS = {"agent": AGENT, "root": User(0, 0)}


@dataclass(frozen=True, slots=True)
class MountChoice:
    """A mount that somebody asked for, by the name the administrator gave it."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class MountSource:
    """What the administrator named: a folder of the engine's machine, or a volume."""

    source: str
    is_writable: bool = False

    @property
    def is_folder(self) -> bool:
        return self.source.startswith("/")


@dataclass(frozen=True, slots=True)
class Mount:
    """As the engine gets it."""

    source: MountSource
    target: str


@dataclass(frozen=True, slots=True)
class Setup:
    """`commands` run once in every new container, before anything else does."""

    env: Mapping[str, str] = field(default_factory=dict)
    user: User = AGENT
    commands: Sequence[str] = ()
    mounts: Sequence[MountChoice] = ()

    def to_json(self) -> dict[str, Any]:
        """Without what is as it would be anyway."""
        found: dict[str, Any] = {}
        if self.env:
            found["env"] = dict(self.env)
        if self.user != AGENT:
            found["user"] = [self.user.uid, self.user.gid]
        if self.commands:
            found["commands"] = list(self.commands)
        if self.mounts:
            found["mounts"] = [[mount.name, mount.path] for mount in self.mounts]
        return found

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Setup":
        return cls(
            env=value.get("env", {}),
            user=User(*value["user"]) if "user" in value else AGENT,
            commands=tuple(value.get("commands", ())),
            mounts=tuple(MountChoice(*mount) for mount in value.get("mounts", ())),
        )


def check_env(env: Mapping[str, str], *, param: str = "env") -> dict[str, str]:
    """Raises: InvalidInputError.

    `PATH` and what the loader reads (`LD_PRELOAD`, …) are the caller's business: they reach the
    commands alone, never the guest, and nothing gains rights in the container.
    """
    if len(env) > MAX_VARIABLES:
        raise InvalidInputError(f"At most {MAX_VARIABLES} variables are taken.", param=param)
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
            raise InvalidInputError(
                f"{name[:MAX_NAME_LENGTH]!r} is no name of a variable: letters, digits and _, up "
                f"to {MAX_NAME_LENGTH}.",
                param=param,
            )
        if name.startswith(_RESERVED_PREFIX):
            raise InvalidInputError(f"Names with {_RESERVED_PREFIX} are taken.", param=param)
        if "\0" in value:
            raise InvalidInputError(f"{name} holds a NUL character.", param=f"{param}.{name}")
    size = sum(len(name) + len(value.encode("utf-8", "replace")) for name, value in env.items())
    if size > MAX_ENV_BYTES:
        raise InvalidInputError(
            f"The variables have {size:,} bytes; at most {MAX_ENV_BYTES:,} are taken.", param=param
        )
    return {name: value.encode("utf-8", "replace").decode() for name, value in env.items()}


def check_user(value: str | int, *, allows_root: bool, param: str = "user") -> User:
    """`agent`, `root`, a user's number, or `number:number` with a group's. Raises:
    InvalidInputError."""
    text = str(value)
    user = NAMED_USERS.get(text)
    if user is None:
        uid, _, gid = text.partition(":")
        numbers = [uid, gid or str(AGENT_ID)]
        if not all(part.isascii() and part.isdigit() and len(part) <= 5 for part in numbers):
            raise InvalidInputError(
                "A user is `agent`, `root`, a number, or two numbers as `user:group`.", param=param
            )
        user = User(*map(int, numbers))
    if max(user.uid, user.gid) > MAX_USER_ID:
        raise InvalidInputError(f"Users and groups go up to {MAX_USER_ID}.", param=param)
    if user.is_root and not allows_root:
        raise InvalidInputError(
            "Commands of root are not allowed here. The administrator can allow them.", param=param
        )
    return user


def check_setup_commands(
    commands: Sequence[str], *, param: str = "setup_commands"
) -> tuple[str, ...]:
    """Raises: InvalidInputError."""
    if len(commands) > MAX_SETUP_COMMANDS:
        raise InvalidInputError(f"At most {MAX_SETUP_COMMANDS} commands are taken.", param=param)
    checked = []
    for index, command in enumerate(commands):
        here = f"{param}[{index}]"
        if not command.strip() or "\0" in command:
            raise InvalidInputError("A command needs text without NUL.", param=here)
        stored = command.encode("utf-8", "replace")
        if len(stored) > MAX_SETUP_COMMAND_BYTES:
            raise InvalidInputError(
                f"A command has at most {MAX_SETUP_COMMAND_BYTES:,} bytes.", param=here
            )
        checked.append(stored.decode())
    return tuple(checked)


def check_mounts(
    wanted: Sequence[tuple[str, str | None]],
    offered: Mapping[str, MountSource],
    *,
    param: str = "mounts",
) -> tuple[MountChoice, ...]:
    """Names with the paths they go to, `/mnt/NAME` without one. Raises: InvalidInputError."""
    if len(wanted) > MAX_MOUNTS:
        raise InvalidInputError(f"At most {MAX_MOUNTS} mounts are taken.", param=param)
    found: list[MountChoice] = []
    for index, (name, path) in enumerate(wanted):
        here = f"{param}[{index}]"
        if name not in offered:
            there = ", ".join(sorted(offered)) or "none"
            raise InvalidInputError(
                f"There is no mount {name!r} here. Those there are: {there}.", param=f"{here}.name"
            )
        target = _target(f"/mnt/{name}" if path is None else path, f"{here}.path")
        for other in found:
            if target.is_relative_to(other.path) or PurePosixPath(other.path).is_relative_to(
                target
            ):
                raise InvalidInputError(
                    f"{target} and {other.path} lie in each other.", param=f"{here}.path"
                )
        found.append(MountChoice(name, str(target)))
    return tuple(found)


def _target(path: str, param: str) -> PurePosixPath:
    """A folder of its own, in none that the container needs. Raises: InvalidInputError."""
    target = PurePosixPath(path)
    parts = target.parts[1:]
    is_plain = (
        str(target) == path
        and target.is_absolute()
        and not path.startswith("//")
        and 0 < len(parts) <= 8
        and len(path) <= 256
        and all(_FOLDER_NAME.fullmatch(part) for part in parts)
    )
    if not is_plain:
        raise InvalidInputError(
            "A path is absolute, of letters, digits, `.`, `_` and `-`.", param=param
        )
    is_taken = (
        parts[0] in _OWN_FOLDERS
        or any(target.is_relative_to(own) for own in _OF_THE_GUEST)
        or any(target.is_relative_to(link) or link.is_relative_to(target) for link in _LINKS)
    )
    if is_taken:
        raise InvalidInputError(f"Nothing can be mounted at {path}.", param=param)
    return target


def parse_mounts(entries: Sequence[str]) -> dict[str, MountSource]:
    """`name=source`, `name=source:ro` or `name=source:rw`; a source is an absolute path or a
    volume's name. Raises: ValueError."""
    found: dict[str, MountSource] = {}
    for entry in entries:
        name, _, rest = entry.partition("=")
        source, _, mode = rest.partition(":")
        is_path = source.startswith("/") and source == str(PurePosixPath(source))
        is_source = is_path or bool(_NAME.fullmatch(source))
        if not _NAME.fullmatch(name) or not is_source or mode not in ("", "ro", "rw"):
            raise ValueError(f"{entry!r} is not name=source, name=source:ro or name=source:rw")
        if name in found or name == "data" or len(name) > MAX_NAME_LENGTH:
            raise ValueError(f"the name of {entry!r} is taken or too long")
        found[name] = MountSource(source, is_writable=mode == "rw")
    return found
