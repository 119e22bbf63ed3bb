"""What the two ends understand, each thing in the frames and calls that the fuzzers start from."""

import ast
import inspect
import json
import re
from pathlib import Path

import pytest

from sessions.sandbox.base import Sandbox
from sessions.sandbox.guest import link, requests, wire
from tests.fuzz.frames import Frame, parse
from tests.fuzz.targets import guest_end, host_end

PROTOCOL = Path(__file__).parents[2] / "docs" / "guest-protocol.md"
A_ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
FROM_THE_GUEST = frozenset(
    (wire.HELLO, wire.PONG, wire.ERROR, wire.CREDIT, wire.OUTPUT, wire.ENDED, wire.RESULT,
     wire.STARTED)
)  # fmt: skip


def verbs_of_the_guest() -> set[str]:
    """Those it passes on to file processes, and those it compares what it is asked with."""
    found = set(requests.FILE_VERBS)
    for node in ast.walk(ast.parse(inspect.getsource(requests.open_request))):
        if isinstance(node, ast.Compare) and ast.unparse(node.left) == "verb":
            found |= {
                value.value
                for value in ast.walk(node)
                if isinstance(value, ast.Constant) and isinstance(value.value, str)
            }
    return found


def requested(frames: list[Frame] | tuple[Frame, ...]) -> list[dict[str, object]]:
    return [json.loads(frame.payload) for frame in frames if frame.kind == wire.REQUEST]


def seeds_of(seeds: tuple[bytes, ...]) -> list[Frame]:
    return [frame for seed in seeds for frame in parse(seed)[0]]


def test_each_verb_of_the_guest_is_in_a_template_and_in_a_seed() -> None:
    verbs = verbs_of_the_guest()
    assert verbs >= {"usage", "set_limits", "foreground", "watch"}, "the guest reads otherwise now"
    assert {fields["verb"] for fields in requested(guest_end.TEMPLATES)} == verbs
    assert {fields["verb"] for fields in requested(seeds_of(guest_end.SEEDS))} == verbs
    assert any(fields.get("whole") is True for fields in requested(guest_end.TEMPLATES))


def test_the_protocol_names_the_verbs_of_the_guest() -> None:
    section = PROTOCOL.read_text().partition("\n## 6. Requests\n")[2].partition("\n## ")[0]
    table = section[section.index("| verb |") :].partition("\n\n")[0]
    assert set(A_ROW.findall(table)) == verbs_of_the_guest()


@pytest.mark.parametrize("frames", [guest_end.TEMPLATES, seeds_of(guest_end.SEEDS)])
def test_each_frame_of_a_host_is_in_a_template_and_in_a_seed(frames) -> None:
    kinds = {wire.HELLO, wire.PING, wire.START, wire.REQUEST, *link._FOR_SOURCES}
    assert {frame.kind for frame in frames} == kinds


def test_each_frame_of_a_guest_is_in_a_template() -> None:
    assert {frame.kind for frame in host_end.TEMPLATES} == FROM_THE_GUEST


def test_each_verb_of_a_sandbox_is_open_while_its_guest_lies() -> None:
    verbs = {name for name, _ in inspect.getmembers(Sandbox, inspect.isfunction) if name[0] != "_"}
    assert {name.partition(",")[0] for name in host_end.CALLS} == verbs - {"close"}


def test_the_guests_answers_are_for_the_calls_that_are_open() -> None:
    """A template's id is that of a call: with fewer, none would read it."""
    idents = {frame.ident for frame in host_end.TEMPLATES}
    assert idents == set(range(len(host_end.CALLS) + 1))
