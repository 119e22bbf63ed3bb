"""What tests of vector stores share."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

Client: TypeAlias = Any
"""An `openai.AsyncOpenAI`, which checks what it gets as the test runs."""
LEAVE = b"# Leave\nEmployees get thirty days of paid vacation a year.\n"
PRINTER = b"If the printer blinks red, open the tray and pull out the jammed paper.\n"


async def kept(client: Client, name: str, content: bytes) -> str:
    file = await client.files.create(file=(name, content), purpose="assistants")
    return str(file.id)


async def added(client: Client, store: str, name: str, content: bytes, **more: Any) -> Any:
    """Once it is indexed, or refused."""
    return await client.vector_stores.files.create_and_poll(
        vector_store_id=store,
        file_id=await kept(client, name, content),
        poll_interval_ms=30,
        **more,
    )


async def names(client: Client, store: str, query: str, **more: Any) -> list[str]:
    page = await client.vector_stores.search(store, query=query, **more)
    return [found.filename for found in page.data]


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await look():  # noqa: ASYNC110 - the supervisor does it
            await asyncio.sleep(0.03)
