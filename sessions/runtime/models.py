"""The models of this installation, as its settings name them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from sessions.providers.base import ModelStatus, Provider
from sessions.providers.chat_relay import ChatTarget
from sessions.providers.endpoint_models import EndpointModels
from sessions.providers.local import MAX_REPLY_TOKENS
from sessions.providers.local_model import LocalModel, LocalModelConfig
from sessions.providers.registry import (
    LOCAL,
    SCRIPTED,
    ModelChoice,
    ProviderConfig,
    build_provider,
    choices,
    uses_local_model,
)


class ConfiguredModels:
    """runtime.process.Models over the provider registry."""

    def __init__(self, config: ProviderConfig, local_model: LocalModel | None) -> None:
        self._config = config
        self._local_model = local_model
        self._endpoint_models = EndpointModels(config.endpoint()) if config.has_endpoint else None

    @classmethod
    def from_settings(cls) -> "ConfiguredModels":
        """Raises: InvalidInputError, ImproperlyConfigured."""
        config = provider_config()
        local_model = None
        if uses_local_model(config):
            local_model = LocalModel(
                LocalModelConfig(
                    cache_dir=Path(settings.BERTH_CACHE_DIR),
                    model_path=Path(path) if (path := config.local_model_path) else None,
                )
            )
        return cls(config, local_model)

    def choices(self) -> Sequence[ModelChoice]:
        return choices(self._config)

    def provider(self, kind: str, model: str) -> Provider:
        return build_provider(self._config, kind, model, self._local_model)

    async def names(self) -> Sequence[str] | None:
        return await self._endpoint_models.names() if self._endpoint_models else None

    @property
    def any_name(self) -> bool:
        given: bool | None = settings.BERTH_ANY_MODEL_NAME
        is_own = self.choices()[0].provider in (LOCAL, SCRIPTED)
        return is_own if given is None else given

    async def chat_target(self, kind: str, model: str) -> ChatTarget | None:
        if kind == LOCAL and self._local_model is not None:
            endpoint = await self._local_model.wait_ready()
            return ChatTarget(endpoint, model, is_local=True, max_tokens=MAX_REPLY_TOKENS)
        if kind == "openai_chat" and self._config.has_endpoint:
            return ChatTarget(self._config.endpoint(), model)
        return None

    def status(self) -> ModelStatus | None:
        return self._local_model.status() if self._local_model else None

    async def start(self) -> None:
        if self._local_model is not None:
            await self._local_model.ensure_started()

    async def aclose(self) -> None:
        if self._local_model is not None:
            await self._local_model.aclose()


def provider_config() -> ProviderConfig:
    """Raises: ImproperlyConfigured."""
    api = settings.BERTH_OPENAI_API
    if api not in {"", "responses", "chat"}:
        raise ImproperlyConfigured(f"BERTH_OPENAI_API must be responses or chat, not {api!r}.")
    return ProviderConfig(
        models=[name.strip() for name in settings.BERTH_MODEL.split(",") if name.strip()],
        openai_api_key=settings.OPENAI_API_KEY,
        openai_base_url=settings.OPENAI_BASE_URL,
        openai_api=cast("Literal['', 'responses', 'chat']", api),
        local_model_path=settings.BERTH_LOCAL_MODEL,
        scripted_delay_s=settings.BERTH_SCRIPTED_DELAY_S,
    )
