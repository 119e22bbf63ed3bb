"""What one process of Berth holds: its sandboxes, its models, and how it is doing."""

import asyncio
import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from channels.db import database_sync_to_async
from django.db import Error as DatabaseError
from django.db import connection

from sessions.errors import BerthError, ModelRefusedError
from sessions.models import DEFAULT_EXPIRES_AFTER_S
from sessions.providers.base import ModelStatus, Provider
from sessions.providers.chat_relay import ChatTarget
from sessions.providers.registry import ModelChoice
from sessions.runtime.execs import Execs
from sessions.runtime.folder_watches import FolderWatches
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.setups import Setups
from sessions.runtime.shells import Shells
from sessions.sandbox.limits import Limits

HEALTH_TIMEOUT_S = 3.0
QUOTA_TIMEOUT_S = 1.0
SUPERVISOR_SILENCE_S = 30.0
"""The supervisor makes a pass every second; this long without one is a fault."""


class Models(Protocol):
    """The models of this installation."""

    def choices(self) -> Sequence[ModelChoice]:
        """The default first; the scripted one is always among them."""
        ...

    def provider(self, kind: str, model: str) -> Provider:
        """Raises: ModelRefusedError when this installation has no such model."""
        ...

    async def names(self) -> Sequence[str] | None:
        """Of the models that the configured endpoint lists; None where there is none, or it does
        not tell."""
        ...

    @property
    def any_name(self) -> bool:
        """Whether the default answers for a model that nobody has."""
        ...

    async def chat_target(self, kind: str, model: str) -> ChatTarget | None:
        """Where Chat Completions for the model are passed on to; None where it speaks another
        language. Waits for the embedded model. Raises: ModelNotReadyError."""
        ...

    def status(self) -> ModelStatus | None:
        """Of the embedded model; None where another endpoint is configured."""
        ...

    async def start(self) -> None:
        """Begin to download and load the embedded model, in the background."""
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    default_image: str
    limits_default: Limits
    limits_max: Limits
    expires_after_s: int = DEFAULT_EXPIRES_AFTER_S
    """Of new sessions, unless they say otherwise; 0 for never."""
    allows_root: bool = False
    """Whether a session may run its commands as root of its container."""
    retention: dt.timedelta | None = None
    """How long an unused workspace is kept before it becomes an archive; None for ever."""


class Runtime:
    """Built once per process by wiring.py; tests build their own."""

    def __init__(self, *, sandboxes: Sandboxes, models: Models, config: SandboxConfig) -> None:
        self.sandboxes = sandboxes
        self.folder_watches = FolderWatches(sandboxes.channel_now)
        self.models = models
        self.config = config
        self.shells = Shells(sandboxes)
        self.setups = Setups(sandboxes)
        self.execs = Execs(sandboxes, self.setups)
        self._supervisor_seen_at: float | None = None
        self._has_disk_quota: bool | None = None

    @property
    def limits_default(self) -> Limits:
        return self.config.limits_default

    @property
    def limits_max(self) -> Limits:
        return self.config.limits_max

    def choices(self) -> Sequence[ModelChoice]:
        return self.models.choices()

    def default_choice(self) -> ModelChoice:
        return self.models.choices()[0]

    def choice(self, provider: str, model: str) -> ModelChoice:
        """Raises: ModelRefusedError."""
        for choice in self.models.choices():
            if (choice.provider, choice.model) == (provider, model):
                return choice
        raise ModelRefusedError(f"There is no model {model!r} here.", param="choice")

    def provider(self, kind: str, model: str) -> Provider:
        return self.models.provider(kind, model)

    def model_status(self) -> ModelStatus | None:
        return self.models.status()

    async def images(self) -> list[str]:
        """Names of the images a session may use, the default first. Raises: SandboxError."""
        names = [image.name for image in await self.sandboxes.backend.images()]
        default = self.config.default_image
        return sorted(names, key=lambda name: (name.removesuffix(":latest") != default, name))

    async def has_disk_quota(self) -> bool | None:
        """Whether the engine holds sessions to their disk limit, rather than Berth's watchdog; None
        has not said so yet."""
        if self._has_disk_quota is None:
            try:
                async with asyncio.timeout(QUOTA_TIMEOUT_S):
                    engine = await self.sandboxes.backend.engine()
            except (BerthError, TimeoutError):
                return None
            self._has_disk_quota = engine.has_disk_quota
        return self._has_disk_quota

    def supervisor_seen(self) -> None:
        self._supervisor_seen_at = time.monotonic()

    async def health(self) -> dict[str, str]:
        """`ok`, or what is wrong, for `database`, `docker` and `supervisor` (`off` where this
        process runs none)."""
        database, docker = await asyncio.gather(self._database(), self._docker())
        return {"database": database, "docker": docker, "supervisor": self._supervisor()}

    async def _database(self) -> str:
        @database_sync_to_async
        def ask() -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")

        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                await ask()
        except TimeoutError:
            return "does not answer"
        except DatabaseError as error:
            return type(error).__name__
        return "ok"

    async def _docker(self) -> str:
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                await self.sandboxes.backend.engine()
        except TimeoutError:
            return "does not answer"
        except BerthError as error:
            return error.message
        return "ok"

    def _supervisor(self) -> str:
        if self._supervisor_seen_at is None:
            return "off"
        silence = time.monotonic() - self._supervisor_seen_at
        return "ok" if silence < SUPERVISOR_SILENCE_S else f"silent for {silence:.0f} s"

    async def aclose(self) -> None:
        await self.execs.aclose()
        await self.setups.aclose()
        await self.shells.aclose()
        await self.folder_watches.aclose()
        await self.sandboxes.aclose()
        await self.models.aclose()
