"""What the model is told of skills: which there are, and where. It reads them itself."""

from collections.abc import Iterable
from dataclasses import dataclass

from sessions.providers.base import Item, UserMessage

_OPENING = """\
These skills are at hand: folders with instructions and files for particular tasks. When the task is
one of them, or names one, read the SKILL.md in its folder first, with a command, and follow it.
What it refers to lies below the same folder.
"""


@dataclass(frozen=True, slots=True)
class SkillOnOffer:
    name: str
    description: str
    path: str
    """Of its folder, where commands run."""


def skills_message(skills: Iterable[SkillOnOffer]) -> UserMessage:
    """The same words for the same skills: what stands behind them can be cached."""
    lines = [
        f"- {_line(one.name)} ({_line(one.path)}): {_line(one.description)}" for one in skills
    ]
    return UserMessage("\n".join([_OPENING, *lines]))


def is_skills_message(item: Item) -> bool:
    return isinstance(item, UserMessage) and item.text.startswith(_OPENING)


def _line(text: str) -> str:
    """A description of several lines is to look like none of another skill."""
    return " ".join(text.split())
