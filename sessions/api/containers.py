"""Containers as the API shows them: each is the container of one session."""

import dataclasses
from typing import Literal

from pydantic import Field

from sessions.api.container_skills import ContainerSkill, SkillsWanted, container_skills
from sessions.api.errors import ApiError
from sessions.api.schema import Identified, RequestPart, Resource, with_example
from sessions.errors import InvalidInputError
from sessions.models import ContainerState, Session
from sessions.responses.ids import CONTAINER, format_id
from sessions.responses.resource import live_url
from sessions.runtime.wiring import runtime
from sessions.sandbox.limits import GIB, Limits, size_text
from sessions.sandbox.setup import (
    AGENT,
    NAMED_USERS,
    MountChoice,
    Setup,
    User,
    check_env,
    check_mounts,
    check_setup_commands,
    check_user,
)

MemoryLimit = Literal["1g", "4g", "16g", "64g"]
MEMORY_BYTES: dict[MemoryLimit, int] = {
    "1g": GIB,
    "4g": 4 * GIB,
    "16g": 16 * GIB,
    "64g": 64 * GIB,
}
MAX_FILES = 50
MIN_CPUS = 0.1
MIN_DISK_GB = 1 / 16
"""Below them an engine makes no container, or nothing can be written in it."""
_NAMES = {size: name for name, size in MEMORY_BYTES.items()}


class ExpiresAfter(RequestPart):
    anchor: Literal["last_active_at"]
    minutes: int = Field(
        ge=1, le=30 * 24 * 60, description="Then it is suspended; the files are kept."
    )


class DisabledNetwork(RequestPart):
    type: Literal["disabled"]


class MountOption(RequestPart):
    name: str
    path: str | None = Field(None, description="`/mnt/NAME` without one.")


class ContainerOptions(RequestPart):
    """What a container is made with, wherever it is asked for."""

    file_ids: list[str] | None = Field(
        None, max_length=MAX_FILES, description="Files to copy into it."
    )
    memory_limit: MemoryLimit | None = None
    network_policy: DisabledNetwork | None = None
    skills: SkillsWanted | None = Field(None, description="Mounted where commands only read.")
    image: str | None = Field(None, description="One that the administrator allows.")
    cpus: float | None = Field(None, ge=MIN_CPUS)
    disk_gb: float | None = Field(None, ge=MIN_DISK_GB)
    env: dict[str, str] | None = Field(
        None, description="Variables of its commands; values are not given back."
    )
    user: str | int | None = Field(
        None, description="Of its commands: `agent`, `root`, a number, or `user:group`."
    )
    setup_commands: list[str] | None = Field(
        None, description="Run in order in each new container, before anything else."
    )
    mounts: list[MountOption] | None = Field(
        None, description="What the administrator offers, by its name."
    )


class CreateContainer(ContainerOptions):
    model_config = with_example(
        name="Harbour",
        memory_limit="1g",
        expires_after={"anchor": "last_active_at", "minutes": 20},
    )

    name: str = Field(min_length=1, max_length=200)
    expires_after: ExpiresAfter | None = None


class Expiry(Resource):
    anchor: Literal["last_active_at"] = "last_active_at"
    minutes: int


class NetworkPolicy(Resource):
    type: Literal["disabled"] = "disabled"


class MountedFolder(Resource):
    name: str
    path: str
    mode: Literal["ro", "rw"] | None = Field(description="Null for one no longer offered.")


class Container(Identified):
    absent_when_none = True

    id: str
    object: Literal["container"] = "container"
    name: str
    created_at: int
    status: str = Field(
        description="`running` for all that can be used: also those that are suspended or archived."
    )
    last_active_at: int
    expires_after: Expiry | None
    memory_limit: MemoryLimit | None
    network_policy: NetworkPolicy = NetworkPolicy()
    state: str = Field(description="Whether there is a container at the moment.")
    image: str
    memory_bytes: int
    cpus: float
    disk_gb: float
    skills: list[ContainerSkill]
    env_names: list[str]
    user: str
    setup_commands: list[str]
    mounts: list[MountedFolder]
    live_url: str = Field(description="Where a person watches it work.")


def container_resource(session: Session) -> Container:
    """Of a session from `selectors.container_rows`."""
    limits, setup = Limits.from_json(session.limits), Setup.from_json(session.setup)
    minutes = -(-session.expires_after_s // 60)
    return Container(
        id=format_id(CONTAINER, session.id),
        name=session.title,
        created_at=int(session.created_at.timestamp()),
        status="failed" if session.container_state == ContainerState.FAILED else "running",
        last_active_at=int(session.last_active_at.timestamp()),
        expires_after=Expiry(minutes=minutes) if minutes else None,
        memory_limit=_NAMES.get(limits.memory_bytes),
        state=session.container_state,
        image=session.image,
        memory_bytes=limits.memory_bytes,
        cpus=limits.cpus,
        disk_gb=round(limits.disk_bytes / GIB, 3),
        skills=container_skills(session.skills.all()),
        env_names=sorted(setup.env),
        user=_user_text(setup.user),
        setup_commands=list(setup.commands),
        mounts=[_mounted(mount) for mount in setup.mounts],
        live_url=live_url(session.id),
    )


def _mounted(mount: MountChoice) -> MountedFolder:
    source = runtime().sandboxes.mounts.get(mount.name)
    mode: Literal["ro", "rw"] | None = None
    if source is not None:
        mode = "rw" if source.is_writable else "ro"
    return MountedFolder(name=mount.name, path=mount.path, mode=mode)


def _user_text(user: User) -> str:
    """As it may be asked for."""
    for name, named in NAMED_USERS.items():
        if user == named:
            return name
    return f"{user.uid}:{user.gid}"


def setup_of(options: ContainerOptions) -> Setup:
    """Raises: ApiError."""
    process = runtime()
    try:
        return Setup(
            env=check_env(options.env or {}),
            user=AGENT
            if options.user is None
            else check_user(options.user, allows_root=process.config.allows_root),
            commands=check_setup_commands(options.setup_commands or ()),
            mounts=check_mounts(
                [(mount.name, mount.path) for mount in options.mounts or ()],
                process.sandboxes.mounts,
            ),
        )
    except InvalidInputError as error:
        raise ApiError(400, error.message, param=error.param, code="invalid_value") from error


async def allowed_image(name: str | None) -> str:
    """Raises: ApiError; SandboxError when the engine cannot tell."""
    if name is None:
        return runtime().config.default_image
    images = await runtime().images()
    if name not in images:
        raise ApiError(
            400,
            f"Invalid value: '{name}'. Images that may be used here: {', '.join(images)}.",
            param="image",
            code="invalid_value",
        )
    return name


def limits_of(options: ContainerOptions) -> Limits:
    """Raises: ApiError for more than the administrator allows."""
    limits, most = runtime().limits_default, runtime().limits_max
    if options.memory_limit is not None:
        wanted = MEMORY_BYTES[options.memory_limit]
        _check("memory_limit", wanted, most.memory_bytes, size_text(most.memory_bytes))
        limits = dataclasses.replace(limits, memory_bytes=wanted)
    if options.cpus is not None:
        _check("cpus", options.cpus, most.cpus, f"{most.cpus:g}")
        limits = dataclasses.replace(limits, cpus=options.cpus)
    if options.disk_gb is not None:
        wanted = round(options.disk_gb * GIB)
        _check("disk_gb", wanted, most.disk_bytes, size_text(most.disk_bytes))
        limits = dataclasses.replace(limits, disk_bytes=wanted)
    return limits


def check_as_made(options: ContainerOptions, session: Session) -> None:
    """A container stays as it was made. Raises: ApiError for what is asked for otherwise."""
    limits, setup = limits_of(options), setup_of(options)
    made, made_setup = Limits.from_json(session.limits), Setup.from_json(session.setup)
    pairs: dict[str, tuple[object, object]] = {
        "image": (options.image, session.image),
        "memory_limit": (limits.memory_bytes, made.memory_bytes),
        "cpus": (limits.cpus, made.cpus),
        "disk_gb": (limits.disk_bytes, made.disk_bytes),
        "env": (dict(setup.env), dict(made_setup.env)),
        "user": (setup.user, made_setup.user),
        "setup_commands": (list(setup.commands), list(made_setup.commands)),
        "mounts": (list(setup.mounts), list(made_setup.mounts)),
    }
    for name, (asked, there) in pairs.items():
        if getattr(options, name) is not None and asked != there:
            message = (
                f"Invalid '{name}': it goes on in a container that was made otherwise. Make one at "
                "/v1/containers and name it by its id."
            )
            raise ApiError(400, message, param=name, code="invalid_value")


def _check(param: str, wanted: float, most: float, shown: str) -> None:
    if wanted > most:
        message = f"Invalid '{param}': at most {shown} may be asked for here."
        raise ApiError(400, message, param=param, code="above_maximum")
