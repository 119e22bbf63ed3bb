"""Where a turn ends before the model says so, each end by its name.

TurnEnd
├── StepLimitReached
├── TokenLimitReached
├── TimeLimitReached
├── TurnStopped        a person pressed Stop
└── RepeatedItself     the model asked for the same command again and again
"""

from dataclasses import dataclass
from typing import ClassVar

from sessions.events.types import TurnEndReason


@dataclass(frozen=True, slots=True)
class TurnLimits:
    max_steps: int
    max_tokens: int
    """Input and output tokens of all steps, together."""
    max_output_tokens: int | None = None
    """Output tokens of all steps."""
    max_calls: int | None = None
    """Calls of tools that run here."""


class TurnEnd(Exception):  # noqa: N818  (an end is not always an error)
    """`message` is a sentence for the person, empty when there is nothing to explain."""

    reason: ClassVar[TurnEndReason]

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class StepLimitReached(TurnEnd):
    reason = "step_limit"


class TokenLimitReached(TurnEnd):
    reason = "token_limit"


class TimeLimitReached(TurnEnd):
    reason = "time_limit"


class TurnStopped(TurnEnd):
    reason = "stopped"


class RepeatedItself(TurnEnd):
    reason = "failed"
