"""The scripted model alone, without pauses: a `Models` for tests."""

from collections.abc import Sequence

from sessions.errors import ModelRefusedError
from sessions.providers.base import ModelStatus, Provider
from sessions.providers.chat_relay import ChatTarget
from sessions.providers.registry import ModelChoice
from sessions.providers.scripted import ScriptedProvider


class ScriptedModels:
    """`instead` takes the place of the scripted provider for every session."""

    def __init__(self, instead: Provider | None = None, *, any_name: bool = True) -> None:
        self.instead = instead
        self.any_name = any_name

    def choices(self) -> Sequence[ModelChoice]:
        return [ModelChoice("scripted", "scripted", "Scripted (no model)")]

    def provider(self, kind: str, model: str) -> Provider:
        if kind != "scripted":
            raise ModelRefusedError(f"There is no {kind} model here.", hint="Choose another.")
        return self.instead or ScriptedProvider()

    async def names(self) -> Sequence[str] | None:
        return None

    async def chat_target(self, kind: str, model: str) -> ChatTarget | None:
        return None

    def status(self) -> ModelStatus | None:
        return None

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...
