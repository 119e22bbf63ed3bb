"""Something of each kind, so that requests have what to ask about."""

import openai

SKILL = b"---\nname: tides\ndescription: Reads tables of tides.\n---\nRead them."


async def make_seeds(client: openai.AsyncOpenAI) -> dict[str, str]:
    """Ids by the parameters of paths."""
    container = await client.containers.create(name="Harbour")
    inside = await client.containers.files.create(container.id, file=("tides.txt", b"high\nlow\n"))
    kept = await client.files.create(file=("notes.txt", b"notes"), purpose="user_data")
    conversation = await client.conversations.create(items=[{"role": "user", "content": "Hello!"}])
    items = await client.conversations.items.list(conversation.id)
    skill = await client.skills.create(files=[("tides/SKILL.md", SKILL)])
    response = await client.responses.create(model="m", input="Hello!", background=True)
    store = await client.vector_stores.create(name="Tides")
    batch = await client.vector_stores.file_batches.create(store.id, file_ids=[kept.id])
    chat = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hello!"}], store=True
    )
    return {
        "container_id": container.id,
        "container_file_id": inside.id,
        "file_id": kept.id,
        "conversation_id": conversation.id,
        "item_id": str(items.data[0].id),
        "skill_id": skill.id,
        "version": "1",
        "response_id": response.id,
        "store_id": store.id,
        "batch_id": batch.id,
        "completion_id": chat.id,
        "model": "scripted",
    }
