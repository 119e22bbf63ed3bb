"""What must be true of a session once all is quiet, whatever was done to it."""

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.load import Subject
from tests.chaos.records import Call, History
from tests.chaos.workload import Printed, printed_by


@dataclass(slots=True)
class Tally:
    """The figures of a run; `violations` are sentences, empty when all is well."""

    sessions: int = 0
    turns: int = 0
    calls: int = 0
    calls_lost: int = 0
    events: int = 0
    bytes_checked: int = 0
    bytes_lost: int = 0
    bytes_doubled: int = 0
    run_twice: int = 0
    reconnects: int = 0
    violations: list[str] = field(default_factory=list)


def check_subject(
    subject: Subject, history: History, marks: dict[str, Counter[str]], tally: Tally
) -> None:
    """`marks` counts the names in the files that the commands wrote in the workspace."""
    found: list[str] = []
    _check_turns(subject, history, found)
    _check_calls(subject, history, marks, tally, found)
    _check_losses(subject, history, found)
    _check_viewer(subject, history, found)
    tally.sessions += 1
    tally.turns += len(subject.plans)
    tally.calls += len(history.calls)
    tally.events += len(history.seqs)
    tally.reconnects += subject.viewer.reconnects
    tally.violations += [f"session {subject.session_id} ({subject.label}): {one}" for one in found]


def _check_turns(subject: Subject, history: History, found: list[str]) -> None:
    if history.seqs != list(range(1, len(history.seqs) + 1)):
        found.append(f"the numbers have holes or doubles: {_odd(history.seqs)}")
    if len(history.messages) != len(subject.plans):
        found.append(f"{len(subject.plans)} messages sent, {len(history.messages)} turns queued")
    if history.turn_starts != sorted(history.messages):
        found.append(f"turns began in the order {history.turn_starts}")
    for number in history.messages:
        reasons = history.turn_ends.get(number, [])
        if [reason for reason, _ in reasons] != ["completed"]:
            found.append(f"turn {number} ended {reasons}, not once as completed")


def _odd(seqs: list[int]) -> str:
    pairs = zip([0, *seqs], seqs, strict=False)
    return ", ".join(f"{later} behind {seq}" for seq, later in pairs if later != seq + 1)[:200]


def _check_calls(
    subject: Subject,
    history: History,
    marks: dict[str, Counter[str]],
    tally: Tally,
    found: list[str],
) -> None:
    wanted = subject.commands()
    seen: Counter[str] = Counter()
    for call in history.calls.values():
        command = printed_by(call.command)
        if command is None or command.name not in wanted:
            found.append(f"call {call.call_id} runs nothing of this run: {call.command[-80:]!r}")
            continue
        seen[command.name] += 1
        _check_call(call, command, tally, found)
        _check_marks(call, command, marks, tally, found)
    found += [f"command {name} is {seen[name]} calls" for name in wanted if seen[name] != 1]


def _check_call(call: Call, command: Printed, tally: Tally, found: list[str]) -> None:
    is_lost = call.ending == "container_lost"
    tally.calls_lost += is_lost
    where = f"call {call.call_id} ({command.name} {command.kind}, {call.ending})"
    if call.began != 1 or len(call.endings) != 1:
        found.append(f"{where} began {call.began} times and ended {len(call.endings)} times")
    elif not is_lost and call.endings[0] != {"kind": "exit", "exit_code": 0}:
        found.append(f"{where} ended {call.endings[0]}")
    for stream, expected in command.expected().items():
        content = bytearray()
        for offset, data in call.pieces.get(stream, []):
            if offset < len(content):
                tally.bytes_doubled += min(len(content) - offset, len(data))
                found.append(f"{where} {stream}: {offset} comes again behind {len(content)}")
            elif offset > len(content):
                tally.bytes_lost += offset - len(content)
                found.append(f"{where} {stream}: a gap from {len(content)} to {offset}")
            content[offset : offset + len(data)] = data
        tally.bytes_checked += len(content)
        wanted = expected[: len(content)] if is_lost else expected
        if content != wanted:
            tally.bytes_lost += max(0, len(wanted) - len(content))
            found.append(f"{where} {stream}: {len(content)} bytes, not those {len(wanted)}")


def _check_marks(
    call: Call,
    command: Printed,
    marks: dict[str, Counter[str]],
    tally: Tally,
    found: list[str],
) -> None:
    counts = {file: marks[file][command.name] for file in marks}
    tally.run_twice += any(count > 1 for count in counts.values())
    allowed = (0, 1) if call.ending == "container_lost" else (1,)
    if any(count not in allowed for count in counts.values()):
        found.append(f"call {call.call_id} ({command.name}, {call.ending}) ran: {counts}")


def _check_losses(subject: Subject, history: History, found: list[str]) -> None:
    """A removed container ends the calls of one step, and the model is told."""
    lost = [call for call in history.calls.values() if call.ending == "container_lost"]
    steps = {call.tool_call_id for call in lost}
    if len(steps) > subject.removals:
        names = [call.call_id for call in lost]
        times = f"its container went {subject.removals} times"
        found.append(f"lost {names} though {times}: {history.containers}")
    for call in history.calls.values():
        told = history.told.get(call.tool_call_id, [])
        if call.endings and call.endings[0]["kind"] not in told:
            found.append(f"call {call.call_id} ended {call.ending}, the model was told {told}")


def _check_viewer(subject: Subject, history: History, found: list[str]) -> None:
    viewer = subject.viewer
    if viewer.seqs != history.seqs:
        found.append(
            f"its viewer saw {len(viewer.seqs)} of {len(history.seqs)} events in order, "
            f"odd are {_odd(viewer.seqs)}"
        )
    if viewer.misplaced:
        found.append(f"its viewer got output out of place: {viewer.misplaced[:5]}")
    for call in history.calls.values():
        for stream, pieces in call.pieces.items():
            stored = b"".join(data for _, data in pieces)
            if viewer.output.get((call.call_id, stream), b"") != stored:
                found.append(f"its viewer has other bytes of {call.call_id} {stream}")
