"""The turns that a run's sessions work on, and what each of their commands must print."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import printer

SOURCE = Path(printer.__file__).read_text()
STREAMS = {1: "stdout", 2: "stderr"}
BEGAN, ENDED = "began", "ended"
"""Files of the workspace to which each command adds its name once."""
MAX_COMMANDS = 3
_LAST_LINE = re.compile(r"\nexec python3 (?P<name>\S+)\.py (?P=name) (?P<kind>\S+)$")


@dataclass(frozen=True, slots=True)
class Printed:
    """A command by its name, which is unique in the run, and the kind of its output."""

    name: str
    kind: str

    @property
    def text(self) -> str:
        # A copy of the program for each, as commands of a step start at the same time.
        return (
            f"cat > {self.name}.py <<'PRINTER'\n{SOURCE}PRINTER\n"
            f"exec python3 {self.name}.py {self.name} {self.kind}"
        )

    def expected(self) -> Mapping[str, bytes]:
        """By the name of the stream."""
        parts: dict[str, list[bytes]] = {name: [] for name in STREAMS.values()}
        for descriptor, data, _ in printer.pieces(self.name, self.kind):
            parts[STREAMS[descriptor]].append(data)
        return {stream: b"".join(all_of_it) for stream, all_of_it in parts.items()}


def printed_by(text: str) -> Printed | None:
    """The command that the text runs, None when it is none of ours."""
    found = _LAST_LINE.search(text)
    return Printed(found["name"], found["kind"]) if found else None


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """Steps one after the other, the commands of each at the same time."""

    steps: Sequence[Sequence[Printed]]

    @property
    def message(self) -> str:
        return "\n---\n".join(
            "\n".join(f"```bash\n{command.text}\n```" for command in step) for step in self.steps
        )

    @property
    def commands(self) -> list[Printed]:
        return [command for step in self.steps for command in step]


def plan_turn(name: str, rng: random.Random) -> TurnPlan:
    return TurnPlan(
        [
            [
                Printed(f"{name}.{step}.{index}", rng.choice(printer.KINDS))
                for index in range(rng.randrange(1, MAX_COMMANDS + 1))
            ]
            for step in range(2)
        ]
    )
