"""Containers as the API shows them: each is the container of one session."""

from typing import Literal

from django.conf import settings
from pydantic import Field

from sessions.api.ids import CONTAINER, format_id
from sessions.api.schema import Identified, RequestPart, Resource
from sessions.models import ContainerState, Session
from sessions.sandbox.limits import GIB, Limits

MemoryLimit = Literal["1g", "4g", "16g", "64g"]
MEMORY_BYTES: dict[MemoryLimit, int] = {
    "1g": GIB,
    "4g": 4 * GIB,
    "16g": 16 * GIB,
    "64g": 64 * GIB,
}
MAX_FILES = 50
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
    image: str | None = Field(None, description="One that the administrator allows.")
    cpus: float | None = Field(None, gt=0)
    disk_gb: float | None = Field(None, gt=0)


class CreateContainer(ContainerOptions):
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
    live_url: str = Field(description="Where a person watches it work.")


def container_resource(session: Session) -> Container:
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
        live_url=f"{settings.BERTH_URL}/sessions/{session.id}/",
    )
