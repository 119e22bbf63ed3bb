"""Which models this installation offers, and how the provider of each is built."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sessions.errors import InvalidInputError, ModelRefusedError
from sessions.providers.base import Provider
from sessions.providers.endpoint import DEFAULT_BASE_URL, Endpoint, RetryPolicy
from sessions.providers.local import LocalProvider
from sessions.providers.local_model import LOCAL_MODEL_NAME, LocalModel
from sessions.providers.openai_chat import AUTO_MODEL, OpenAIChat
from sessions.providers.openai_responses import OpenAIResponses
from sessions.providers.scripted import ScriptedProvider

SCRIPTED = "scripted"
LOCAL = "local"
DEFAULT_OPENAI_MODEL = "gpt-5.2"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model a session can be created with. `note` says what to expect of it."""

    provider: str
    model: str
    label: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    models: Sequence[str] = ()
    """Names, the default first; `scripted` and `local` are names as well. Empty: what fits."""
    openai_api_key: str = field(default="", repr=False)
    openai_base_url: str = ""
    openai_api: Literal["", "responses", "chat"] = ""
    """Empty: Responses at the default address, Chat Completions elsewhere."""
    local_model_path: str = ""
    """A GGUF file to use instead of the downloaded weights."""
    scripted_delay_s: float = 0.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    @property
    def has_endpoint(self) -> bool:
        return bool(self.openai_api_key or self.openai_base_url)

    @property
    def endpoint_kind(self) -> Literal["openai_responses", "openai_chat"]:
        if self.openai_api:
            return "openai_chat" if self.openai_api == "chat" else "openai_responses"
        return "openai_chat" if self.openai_base_url else "openai_responses"

    def endpoint(self) -> Endpoint:
        return Endpoint(self.openai_base_url or DEFAULT_BASE_URL, self.openai_api_key)


def choices(config: ProviderConfig) -> list[ModelChoice]:
    """The default first; the scripted one is always there, last unless it is the default.

    Raises: InvalidInputError when a model is named but no endpoint to ask for it.
    """
    found = {(choice.provider, choice.model): choice for choice in _choices(config)}
    return list(found.values())


def _choices(config: ProviderConfig) -> Iterator[ModelChoice]:
    for name in config.models or [""]:
        if name == SCRIPTED:
            yield _scripted_choice()
        elif name == LOCAL or not (name or config.has_endpoint):
            yield _local_choice()
        elif config.has_endpoint:
            yield _endpoint_choice(config, name)
        else:
            raise InvalidInputError(
                f"BERTH_MODEL names {name!r}, but neither OPENAI_API_KEY nor OPENAI_BASE_URL is "
                "set. Without them there are `local` and `scripted`.",
                param="BERTH_MODEL",
            )
    if config.local_model_path:
        yield _local_choice()
    yield _scripted_choice()


def _endpoint_choice(config: ProviderConfig, name: str) -> ModelChoice:
    kind = config.endpoint_kind
    host = config.endpoint().shown_url.split("://")[-1].split("/")[0]
    if not name:
        name = DEFAULT_OPENAI_MODEL if not config.openai_base_url else AUTO_MODEL
    label = f"first model of {host}" if name == AUTO_MODEL else name
    return ModelChoice(kind, name, label, f"at {host}")


def _local_choice() -> ModelChoice:
    return ModelChoice(
        LOCAL,
        LOCAL_MODEL_NAME,
        "Qwen2.5-Coder 1.5B (on this machine)",
        "A small model: good for short, clear tasks. Set OPENAI_API_KEY or OPENAI_BASE_URL to use "
        "a bigger one.",
    )


def _scripted_choice() -> ModelChoice:
    return ModelChoice(
        SCRIPTED, SCRIPTED, "Scripted (no model)", "Runs the commands you write into the message."
    )


def uses_local_model(config: ProviderConfig) -> bool:
    """Whether the embedded model is to be downloaded and kept running."""
    return any(choice.provider == LOCAL for choice in choices(config))


def build_provider(
    config: ProviderConfig, kind: str, model: str, local_model: LocalModel | None = None
) -> Provider:
    """Raises: ModelRefusedError for what this installation is not configured for.

    `model` may be one that is no longer in `choices`: sessions keep theirs.
    """
    if kind == SCRIPTED:
        return ScriptedProvider(delay_s=config.scripted_delay_s)
    if kind == LOCAL and local_model is not None:
        return LocalProvider(local_model, model, retry=config.retry)
    if kind == "openai_responses" and config.has_endpoint:
        return OpenAIResponses(config.endpoint(), model, config.retry)
    if kind == "openai_chat" and config.has_endpoint:
        return OpenAIChat(config.endpoint(), model, config.retry)
    raise ModelRefusedError(
        f"This installation is no longer configured for {kind} models.",
        hint="Set OPENAI_API_KEY or OPENAI_BASE_URL again, or start a new session.",
    )
