"""Which models are offered follows from the configuration, and each is built as offered."""

from pathlib import Path

import pytest

from sessions.errors import InvalidInputError, ModelRefusedError
from sessions.providers.local_model import LocalModel, LocalModelConfig
from sessions.providers.registry import (
    ProviderConfig,
    build_provider,
    choices,
    uses_local_model,
)

KEY = "sk-test-1234567890"


def offered(config: ProviderConfig) -> list[tuple[str, str]]:
    return [(choice.provider, choice.model) for choice in choices(config)]


def test_without_an_endpoint_there_are_the_embedded_model_and_the_scripted_one() -> None:
    config = ProviderConfig()
    assert [kind for kind, _ in offered(config)] == ["local", "scripted"]
    assert uses_local_model(config)
    assert "small" in choices(config)[0].note
    assert "OPENAI_API_KEY" in choices(config)[0].note


def test_a_key_alone_means_the_responses_api_and_no_download() -> None:
    config = ProviderConfig(openai_api_key=KEY)
    assert [kind for kind, _ in offered(config)] == ["openai_responses", "scripted"]
    assert not uses_local_model(config)


def test_an_address_means_chat_completions_and_its_first_model() -> None:
    config = ProviderConfig(openai_base_url="http://user:secret@llm.example:8000/v1")
    assert offered(config)[0] == ("openai_chat", "auto")
    first = choices(config)[0]
    assert "llm.example:8000" in first.label
    assert "secret" not in f"{first.label} {first.note}"


def test_the_api_can_be_named() -> None:
    config = ProviderConfig(["m"], KEY, "http://llm.example/v1", openai_api="responses")
    assert offered(config)[0] == ("openai_responses", "m")
    assert offered(ProviderConfig(["m"], KEY, openai_api="chat"))[0] == ("openai_chat", "m")


def test_named_models_keep_their_order() -> None:
    config = ProviderConfig(["big", "small", "scripted"], KEY)
    assert [model for _, model in offered(config)] == ["big", "small", "scripted"]


def test_scripted_alone_needs_no_download() -> None:
    config = ProviderConfig(["scripted"])
    assert offered(config) == [("scripted", "scripted")]
    assert not uses_local_model(config)


def test_a_model_without_an_endpoint_to_ask_is_a_clear_error() -> None:
    with pytest.raises(InvalidInputError, match="OPENAI_API_KEY"):
        choices(ProviderConfig(["gpt-5.2"]))


def test_every_choice_can_be_built(tmp_path: Path) -> None:
    local_model = LocalModel(LocalModelConfig(tmp_path))
    for config in (
        ProviderConfig(["a", "local", "scripted"], KEY),
        ProviderConfig(["a"], KEY, openai_api="chat"),
    ):
        for choice in choices(config):
            provider = build_provider(config, choice.provider, choice.model, local_model)
            assert (provider.kind, provider.model) == (choice.provider, choice.model)


def test_a_session_of_a_provider_that_is_gone_is_told_so() -> None:
    with pytest.raises(ModelRefusedError, match="no longer configured") as caught:
        build_provider(ProviderConfig(), "openai_chat", "m")
    assert "OPENAI_API_KEY" in caught.value.hint


def test_the_key_is_not_in_what_is_logged() -> None:
    assert KEY not in repr(ProviderConfig(openai_api_key=KEY))
