"""Containers as the API shows them: each is the container of one session."""

import dataclasses
from typing import Literal

from django.conf import settings
from pydantic import Field

from sessions.api.container_skills import ContainerSkill, SkillsWanted, container_skills
from sessions.api.errors import ApiError
from sessions.api.schema import Identified, RequestPart, Resource, with_example
from sessions.models import ContainerState, Session
from sessions.responses.ids import CONTAINER, format_id
from sessions.runtime.wiring import runtime
from sessions.sandbox.limits import GIB, Limits, size_text

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
    live_url: str = Field(description="Where a person watches it work.")


def container_resource(session: Session) -> Container:
    """Of a session from `selectors.container_rows`."""
    limits = Limits.from_json(session.limits)
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
        live_url=f"{settings.BERTH_URL}/sessions/{session.id}/",
    )


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


def _check(param: str, wanted: float, most: float, shown: str) -> None:
    if wanted > most:
        message = f"Invalid '{param}': at most {shown} may be asked for here."
        raise ApiError(400, message, param=param, code="above_maximum")
