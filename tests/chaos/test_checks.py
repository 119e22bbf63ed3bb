"""The judge itself: each rule that is broken must be found."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.chaos.checks import Tally, check_subject
from tests.chaos.load import Subject
from tests.chaos.records import Event, History
from tests.chaos.viewer import Viewer
from tests.chaos.workload import BEGAN, ENDED, Printed, TurnPlan
from tests.serve.berth_client import BerthClient

COMMAND = Printed("r1s1.t1.0.0", "lines")
Change = Callable[[list[tuple[str, dict[str, Any], bytes]]], None]


def _log() -> list[tuple[str, dict[str, Any], bytes]]:
    """A flawless turn of one command."""
    ending = {"kind": "exit", "exit_code": 0}
    rows: list[tuple[str, dict[str, Any], bytes]] = [
        ("turn.queued", {"turn": 1, "text": "…"}, b""),
        ("turn.started", {"turn": 1}, b""),
        ("call.started", {"call_id": "c", "tool_call_id": "t", "command": COMMAND.text}, b""),
    ]
    for stream, content in COMMAND.expected().items():
        half = len(content) // 2
        for offset, data in ((0, content[:half]), (half, content[half:])):
            rows.append(("output", {"call_id": "c", "stream": stream, "offset": offset}, data))
    return [
        *rows,
        ("call.ended", {"call_id": "c", "ending": ending}, b""),
        ("tool.result", {"tool_call_id": "t", "item": {"commands": [{"ending": ending}]}}, b""),
        ("turn.ended", {"turn": 1, "reason": "completed", "message": ""}, b""),
    ]


def _judged(
    rows: list[tuple[str, dict[str, Any], bytes]],
    *,
    seqs: list[int] | None = None,
    marks: int = 1,
    removals: int = 0,
) -> Tally:
    history = History()
    for seq, (kind, payload, data) in enumerate(rows, 1):
        history.add(Event(seq, kind, payload, data))
    viewer = Viewer(BerthClient.__new__(BerthClient), uuid4())
    viewer.seqs = list(history.seqs) if seqs is None else seqs
    viewer.output = {
        (call.call_id, stream): bytearray(b"".join(data for _, data in pieces))
        for call in history.calls.values()
        for stream, pieces in call.pieces.items()
    }
    subject = Subject(uuid4(), "r1s1", viewer, [TurnPlan([[COMMAND]])], removals)
    counts = {file: Counter({COMMAND.name: marks}) for file in (BEGAN, ENDED)}
    tally = Tally()
    check_subject(subject, history, counts, tally)
    return tally


def _output_at(rows: list[tuple[str, dict[str, Any], bytes]], index: int) -> int:
    return [i for i, row in enumerate(rows) if row[0] == "output"][index]


def _lose(*, container_is_blamed: bool) -> Change:
    def change(rows: list[tuple[str, dict[str, Any], bytes]]) -> None:
        del rows[_output_at(rows, 1)]
        if container_is_blamed:
            for kind, payload, _ in rows:
                if kind == "call.ended":
                    payload["ending"] = {"kind": "container_lost"}
                elif kind == "tool.result":
                    payload["item"] = {"commands": [{"ending": {"kind": "container_lost"}}]}

    return change


def test_a_flawless_turn_is_found_so() -> None:
    tally = _judged(_log())
    assert tally.violations == []
    assert tally.bytes_checked == sum(map(len, COMMAND.expected().values()))


def test_lost_bytes_are_found() -> None:
    rows = _log()
    _lose(container_is_blamed=False)(rows)
    tally = _judged(rows)
    assert tally.bytes_lost > 0
    assert tally.violations


def test_doubled_bytes_are_found() -> None:
    rows = _log()
    rows.insert(_output_at(rows, 1), rows[_output_at(rows, 0)])
    tally = _judged(rows)
    assert tally.bytes_doubled > 0
    assert tally.violations


def test_other_bytes_are_found() -> None:
    rows = _log()
    kind, payload, data = rows[_output_at(rows, 0)]
    rows[_output_at(rows, 0)] = (kind, payload, bytes(len(data)))
    assert _judged(rows).violations


@pytest.mark.parametrize(("removals", "is_good"), [(1, True), (0, False)])
def test_a_lost_call_needs_a_container_that_went(removals: int, *, is_good: bool) -> None:
    rows = _log()
    _lose(container_is_blamed=True)(rows)
    tally = _judged(rows, removals=removals)
    assert (not tally.violations) == is_good
    assert tally.calls_lost == 1


@pytest.mark.parametrize("marks", [0, 2])
def test_a_command_must_run_once(marks: int) -> None:
    tally = _judged(_log(), marks=marks)
    assert tally.run_twice == (marks == 2)
    assert tally.violations


@pytest.mark.parametrize("missing", ["call.ended", "turn.ended", "turn.started", "tool.result"])
def test_what_is_missing_is_found(missing: str) -> None:
    assert _judged([row for row in _log() if row[0] != missing]).violations


@pytest.mark.parametrize("twice", ["call.started", "call.ended", "turn.ended", "turn.started"])
def test_what_comes_twice_is_found(twice: str) -> None:
    rows = [row for row in _log() for _ in range(1 + (row[0] == twice))]
    assert _judged(rows).violations


@pytest.mark.parametrize("seqs", [[1, 2, 3, 3], [1, 3], []])
def test_a_viewer_that_saw_something_else_is_found(seqs: list[int]) -> None:
    assert any("viewer saw" in one for one in _judged(_log(), seqs=seqs).violations)
