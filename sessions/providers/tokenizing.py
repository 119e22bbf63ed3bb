"""Ask llama-server how many tokens messages are: it renders them as its model reads them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sessions.providers.endpoint import Endpoint
from sessions.providers.openai_errors import connected


async def counted(endpoint: Endpoint, messages: Sequence[Mapping[str, Any]]) -> int | None:
    """None when the server does not know how. Raises: ProviderError, PassingFailure."""
    root = endpoint.base_url.rstrip("/").removesuffix("/v1")
    async with connected(endpoint, "local") as client:
        rendered: Any = await client.post(
            f"{root}/apply-template", cast_to=object, body={"messages": list(messages)}
        )
        prompt = rendered.get("prompt") if isinstance(rendered, dict) else None
        if not isinstance(prompt, str):
            return None
        found: Any = await client.post(
            f"{root}/tokenize",
            cast_to=object,
            body={"content": prompt, "add_special": True, "parse_special": True},
        )
    tokens = found.get("tokens") if isinstance(found, dict) else None
    return len(tokens) if isinstance(tokens, list) else None
