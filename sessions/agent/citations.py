"""Files of the workspace that an answer names, found as it is recorded: what was there then is what
the answer cites, however often it is told."""

import dataclasses
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from sessions.agent.tools.base import ToolContext
from sessions.errors import BerthError
from sessions.providers.base import AssistantMessage, Item

logger = logging.getLogger(__name__)

MAX_CITATIONS = 50
"""Of one message."""
MAX_PATH_LENGTH = 1024
_NAMED = re.compile(r"(?:sandbox:)?/(?:mnt/data|workspace)/([^\s()<>\[\]\"'`*|]+)")
_PUNCTUATION = ".,;:!?"


@dataclass(frozen=True, slots=True)
class Mention:
    """`start` and `end` count characters of the text; `path` is relative to the workspace."""

    path: str
    start: int
    end: int


def mentions(text: str) -> Iterator[Mention]:
    """Where it names what may be files, by `sandbox:/mnt/data/…` or the path alone."""
    for match in _NAMED.finditer(text):
        path = match[1].rstrip(_PUNCTUATION)
        if path and len(path) <= MAX_PATH_LENGTH:
            yield Mention(unquote(path), match.start(), match.start(1) + len(path))


async def with_citations(item: Item, context: ToolContext) -> Item:
    """The message with an annotation for each file that it names and that is there."""
    if not isinstance(item, AssistantMessage) or context.find_files is None:
        return item
    named = [
        mention for mention, _ in zip(mentions(item.text), range(MAX_CITATIONS), strict=False)
    ]
    if not named:
        return item
    try:
        found = await context.find_files({mention.path for mention in named})
    except BerthError as error:
        # What the model said is worth more than what it cites.
        logger.warning("files of an answer were not looked up: %s", error)
        return item
    annotations = [
        {**found[mention.path], "start_index": mention.start, "end_index": mention.end}
        for mention in named
        if mention.path in found
    ]
    return dataclasses.replace(item, annotations=annotations)
