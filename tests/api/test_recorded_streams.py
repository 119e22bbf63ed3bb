"""Streams of the hosted API, recorded, beside ours of the same: the same order, the same fields.

What differs is listed here, and in docs/api.md for those who write programs.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.api.test_responses import LOCAL, SHELL

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]
Client: TypeAlias = Any
Event: TypeAlias = dict[str, Any]
RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> list[list[Event]]:
    """Streams of a file, one after the other (Apache-2.0; where from: recorded/README.md)."""
    streams: list[list[Event]] = []
    for line in (RECORDED / f"{name}.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["type"] == "response.created":
            streams.append([])
        streams[-1].append(event)
    return streams


def order(events: Iterable[Event]) -> list[str]:
    """Kinds of events, those of items with the kind of these; deltas in a row are one."""
    kinds: list[str] = []
    for event in events:
        kind = event["type"]
        if "item" in event:
            kind += f" {event['item']['type']}"
        if not kind.endswith(".delta") or kinds[-1:] != [kind]:
            kinds.append(kind)
    return kinds


def fields(value: Any, path: str = "") -> Iterator[str]:
    """Paths of all that is in it; elements of lists are not told apart but by their type."""
    if isinstance(value, dict):
        for key, inner in value.items():
            kind = f"<{inner['type']}>" if isinstance(inner, dict) and "type" in inner else ""
            yield f"{path}.{key}{kind}"
            yield from fields(inner, f"{path}.{key}{kind}")
    elif isinstance(value, list):
        for inner in value:
            kind = inner.get("type", "") if isinstance(inner, dict) else ""
            yield from fields(inner, f"{path}[{kind}]")


def fields_of(events: Iterable[Event]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for event in events:
        found.setdefault(event["type"], set()).update(fields(event))
    return found


async def ours(client: Client, **asked: Any) -> list[Event]:
    stream = await client.responses.create(model="m", stream=True, **asked)
    return [event.to_dict() async for event in stream]


# What differs

ABSENT = {
    "obfuscation": "nothing is added to hide the length of what is said",
    "response.user": "given back only when it was sent",
    "response.usage": "there at the end; the published document knows no null of it",
}
"""Of the recorded fields: what ours lack, and why."""
LATER = "environment<local>"
"""The recording of a local shell is from before environments had a name."""
ADDED = {
    "response.live_url": "where a person watches it",
    "response.conversation": "newer than the recordings",
    "response.completed_at": "newer than some of them",
    "response.frequency_penalty": "newer than some of them",
    "response.presence_penalty": "newer than some of them",
    "response.usage.input_tokens_details.cache_write_tokens": "newer than the recordings",
}


def check_fields(theirs: list[Event], mine: list[Event]) -> None:
    wanted, found = fields_of(theirs), fields_of(mine)
    assert wanted.keys() == found.keys()
    for kind, names in wanted.items():
        absent = {name.removeprefix(".") for name in names - found[kind]}
        added = {name.removeprefix(".") for name in found[kind] - names if LATER not in name}
        assert absent <= ABSENT.keys(), f"{kind} lacks {absent - ABSENT.keys()}"
        assert added <= ADDED.keys(), f"{kind} has {added - ADDED.keys()}"


ASKED: dict[str, dict[str, Any]] = {
    "shell-container": {"input": "```bash\necho a\n```", "tools": [SHELL]},
    "shell-skills": {
        "input": "```bash\necho a\n```\n---\n```bash\necho b\n```",
        "tools": [SHELL],
    },
    "shell-container-multiturn": {"input": "Hello", "tools": [SHELL]},
}
"""What makes our model do what the recorded one did."""


@pytest.mark.parametrize("name", ASKED)
async def test_a_stream_is_like_the_recorded_one(client: Client, name: str) -> None:
    (theirs,) = recorded(name)
    mine = await ours(client, **ASKED[name])
    assert order(mine) == order(theirs)
    check_fields(theirs, mine)


async def test_commands_for_the_caller_are_like_the_recorded_ones(client: Client) -> None:
    theirs = recorded("shell-tool")
    first = await ours(client, input="```bash\nls\n```", tools=[LOCAL])
    call = first[-1]["response"]["output"][0]
    answer = {"stdout": "", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
    second = await ours(
        client,
        input=[{"type": "shell_call_output", "call_id": call["call_id"], "output": [answer]}],
        tools=[LOCAL],
        previous_response_id=first[-1]["response"]["id"],
    )
    for recording, mine in zip(theirs, (first, second), strict=True):
        assert order(mine) == order(recording)
        check_fields(recording, mine)
