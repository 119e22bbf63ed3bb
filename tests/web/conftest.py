"""A runtime for pages: real wiring over an engine that is either there or away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import AsyncClient
from typing_extensions import override

from sessions.errors import EngineUnavailableError
from sessions.providers.base import ModelStatus
from sessions.providers.registry import ModelChoice
from sessions.runtime.archives import Archives
from sessions.runtime.process import Runtime, SandboxConfig
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.wiring import max_limits, use_runtime
from sessions.sandbox.base import (
    ContainerInfo,
    ContainerSpec,
    DuplexStream,
    EngineInfo,
    ImageInfo,
    Sandbox,
)
from sessions.sandbox.limits import Limits
from tests.scripted_models import ScriptedModels


class EmptyEngine:
    """An engine with two images and no containers. `is_away` makes every verb fail."""

    def __init__(self) -> None:
        self.is_away = False

    def _ask(self) -> None:
        if self.is_away:
            raise EngineUnavailableError("No answer at unix:///run/secret-place/docker.sock.")

    async def create(self, spec: ContainerSpec) -> str:
        raise EngineUnavailableError("This engine starts nothing.")

    async def open(self, container_id: str) -> DuplexStream:
        raise EngineUnavailableError("This engine starts nothing.")

    async def inspect(self, container_id: str) -> ContainerInfo:
        raise EngineUnavailableError("This engine starts nothing.")

    async def set_limits(self, container_id: str, limits: Limits) -> None:
        self._ask()

    async def image_id(self, name: str) -> str:
        self._ask()
        return name

    async def remove(self, container_id: str) -> None:
        self._ask()

    async def remove_volume(self, name: str) -> None:
        self._ask()

    async def containers(self) -> list[ContainerInfo]:
        self._ask()
        return []

    async def volumes(self) -> dict[str, str]:
        self._ask()
        return {}

    async def images(self) -> list[ImageInfo]:
        self._ask()
        return [ImageInfo("berth/sandbox-slim", 1), ImageInfo("berth/sandbox", 2)]

    async def engine(self) -> EngineInfo:
        self._ask()
        return EngineInfo("1", "1", "overlay2", "ext4", "2", (), ())

    async def close(self) -> None: ...


class ScriptedOnly(ScriptedModels):
    """The scripted model, and one that is still on its way."""

    def __init__(self) -> None:
        super().__init__()
        self.model_status: ModelStatus | None = None

    @override
    def choices(self) -> list[ModelChoice]:
        return [
            ModelChoice("local", "small", "Small (local)", "A small model on this machine."),
            ModelChoice("scripted", "scripted", "Scripted (no model)", "Runs what you write."),
        ]

    @override
    def status(self) -> ModelStatus | None:
        return self.model_status


@pytest.fixture
def engine() -> EmptyEngine:
    return EmptyEngine()


@pytest.fixture
def models() -> ScriptedOnly:
    return ScriptedOnly()


async def _no_channel(stream: DuplexStream) -> Sandbox:
    raise EngineUnavailableError("This engine starts nothing.")


@pytest.fixture(autouse=True)
def _web_runtime(engine: EmptyEngine, models: ScriptedOnly, tmp_path: Path) -> Iterator[None]:
    config = SandboxConfig("berth/sandbox", Limits(), max_limits())
    sandboxes = Sandboxes(engine, _no_channel, archives=Archives(tmp_path / "archives"))
    use_runtime(Runtime(sandboxes=sandboxes, models=models, config=config))
    yield
    use_runtime(None)


@pytest.fixture(autouse=True)
def _pages(settings: Any, tmp_path: Path) -> Iterator[None]:
    """No collected files are needed to render a page, and no attempt of another test counts."""
    settings.VAR_DIR = settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
async def alices(alice: User) -> AsyncClient:
    client = AsyncClient()
    await client.aforce_login(alice)
    return client


@pytest.fixture
async def bobs(bob: User) -> AsyncClient:
    client = AsyncClient()
    await client.aforce_login(bob)
    return client


@pytest.fixture
async def admins(admin: User) -> AsyncClient:
    client = AsyncClient()
    await client.aforce_login(admin)
    return client
