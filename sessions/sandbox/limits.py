"""What a session's container and commands may use, as one frozen value."""

import dataclasses
from dataclasses import dataclass
from typing import Any

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Enforced by the engine (memory, cpus, pids), the guest (command time, disk) and the runner."""

    memory_bytes: int = 1 * GIB
    cpus: float = 1.0
    pids: int = 512
    disk_bytes: int = 10 * GIB
    """What a session may write: its workspace and the container's own layer."""
    command_timeout_s: float = 120.0
    """Wall time of one command; the model may ask for less, never for more."""
    session_time_s: float = 8 * 3600.0
    """Life of a container from its start; its workspace outlives it."""
    max_output_bytes: int = 64 * MIB
    """Stored output per call; past it the middle is dropped and counted."""
    max_steps: int = 50
    """Model requests per turn."""
    max_tokens: int = 2_000_000
    """Input and output tokens per turn, together."""

    def differ_in_engine(self, other: "Limits") -> bool:
        """Whether a container made with `other` has to be changed."""
        mine = (self.memory_bytes, self.cpus, self.pids)
        return mine != (other.memory_bytes, other.cpus, other.pids)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Limits":
        """Read what `to_json` wrote; keys of other versions are left out."""
        known = {f.name for f in dataclasses.fields(cls)}
        return cls(**{k: v for k, v in value.items() if k in known})


def size_text(value: int) -> str:
    """`1.5 GiB`, `512 MiB`."""
    unit, size = ("GiB", GIB) if value >= GIB else ("MiB", MIB)
    return f"{round(value / size, 1):g} {unit}"
