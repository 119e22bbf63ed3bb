"""Vector stores by the official client: made, filled, searched, emptied; by their owner alone."""

import openai
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]


async def test_a_file_is_indexed_and_found(client: openai.AsyncOpenAI) -> None:
    store = await client.vector_stores.create(name="Handbook", metadata={"team": "ops"})
    assert (store.status, store.name, store.metadata) == ("completed", "Handbook", {"team": "ops"})
    file = await client.files.create(
        file=("leave.md", b"# Leave\nEmployees get thirty days of paid vacation a year.\n"),
        purpose="assistants",
    )
    added = await client.vector_stores.files.create_and_poll(
        vector_store_id=store.id, file_id=file.id, poll_interval_ms=50
    )
    assert (added.id, added.status, added.last_error) == (file.id, "completed", None)
    page = await client.vector_stores.search(store.id, query="How much holiday do I get?")
    (found,) = page.data
    assert (found.file_id, found.filename) == (file.id, "leave.md")
    assert "thirty days" in found.content[0].text
    assert 0 < found.score <= 1
