import openai
import pytest


async def test_the_models_that_can_be_named_are_listed(client: openai.AsyncOpenAI) -> None:
    listed = [model async for model in client.models.list()]
    assert [model.id for model in listed] == ["scripted"]
    assert (await client.models.retrieve("scripted")) == listed[0]


@pytest.mark.parametrize("name", ["gpt-nothing", "qwen/of-nobody"])
async def test_another_is_not_found(client: openai.AsyncOpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        await client.models.retrieve(name)
    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")
