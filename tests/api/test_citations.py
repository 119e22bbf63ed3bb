"""Files of the container that an answer cites."""

import json

import pytest

from tests.api.test_code_interpreter import RECORDING, Client, ask

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]

LINKED = (
    "```call python\nopen('/workspace/sums 1.csv', 'w').write('2'); open('b.txt', 'w').write('3');\n```\n"
    "é [sums](sandbox:/mnt/data/sums%201.csv), /workspace/b.txt. Not /workspace/none or "
    "[up](sandbox:/mnt/data/../etc/passwd)."
)


def linked(code_folder: str) -> str:
    return LINKED.replace("/workspace/sums 1.csv", f"{code_folder}/sums 1.csv")


async def test_an_answer_cites_the_files_that_it_names(client: Client) -> None:
    stream = await ask(client, linked("."), stream=True)
    events = [event.to_dict() async for event in stream]
    response = events[-1]["response"]
    (part,) = response["output"][-1]["content"]
    cited = part["annotations"]
    assert [part["text"][one["start_index"] : one["end_index"]] for one in cited] == [
        "sandbox:/mnt/data/sums%201.csv",
        "/workspace/b.txt",
    ]
    assert [one["filename"] for one in cited] == ["sums 1.csv", "b.txt"]
    recorded = [json.loads(line) for line in RECORDING.read_text().splitlines()]
    is_of_message = [e["type"] for e in recorded if e.get("output_index") == 7]
    kinds = [event["type"] for event in events if event.get("output_index") == 1]
    behind = kinds.index("response.output_text.annotation.added")
    assert list(dict.fromkeys(kinds[behind:])) == is_of_message
    added = [e for e in events if e["type"] == "response.output_text.annotation.added"]
    assert [event["annotation"] for event in added] == cited
    assert added[0].keys() == recorded[-4].keys()
    again = await client.responses.retrieve(response["id"], stream=True)
    assert [event.to_dict() async for event in again] == events
    content = await client.containers.files.content.retrieve(
        cited[0]["file_id"], container_id=cited[0]["container_id"]
    )
    assert content.read() == b"2"
    # What was cited goes into the next request without trouble.
    said = {"role": "user", "content": "And?"}
    more = await ask(client, "x", input=[*response["output"], said])
    assert more.status == "completed"


async def test_commands_of_the_shell_leave_files_to_cite_as_well(client: Client) -> None:
    text = "```bash\necho 1 > a.txt\n```\nIt is in /mnt/data/a.txt."
    made = await ask(client, text, tools=[{"type": "shell"}])
    (cited,) = made.output[-1].content[0].annotations
    assert cited.filename == "a.txt"


async def test_without_a_container_nothing_is_cited(client: Client) -> None:
    made = await ask(client, "It is in /mnt/data/a.txt.", tools=[])
    assert made.output[-1].content[0].annotations == []
