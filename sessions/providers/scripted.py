"""The provider without a model: it does what the message says, for the tour, tests and demos.

Stateless: each request tells from the conversation which step is next, so a turn goes on after a
restart. See `HOW_TO` for what a message may hold.
"""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from sessions.providers.base import (
    ALL_ABILITIES,
    Ability,
    AssistantMessage,
    Delta,
    Finished,
    ItemDone,
    ModelRequest,
    TextDelta,
    ToolCall,
)
from sessions.providers.script import Script, endings, next_step, parse_script, since_user
from sessions.providers.tour import TOUR

HOW_TO = """\
This session is **scripted**: there is no model behind it, it runs what you write. For example:

````
Say hello, and count at the same time.
```bash
echo hello
```
```bash
seq 5
```
---
Then write a file and run it.
```python
# hello.py
print("hello from a file")
```
````

Blocks without `---` between them start together. `/tour` plays the guided tour.
"""
_WORDS = re.compile(r"\S*\s*")
_WORDS_PER_DELTA = 3


@dataclass(slots=True)
class ScriptedProvider:
    model: str = "scripted"
    delay_s: float = 0.0
    """Pause between two pieces of text, so that a person sees it come."""
    kind: str = "scripted"
    is_tool_markdown: bool = True
    takes: frozenset[Ability] = ALL_ABILITIES
    """There is no model that any of it would matter to."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        text, since = since_user(request.items)
        if request.purpose == "summary":
            yield ItemDone(AssistantMessage(summary(text)))
            yield Finished()
            return
        script = TOUR if text.strip().lower().startswith("/tour") else parse_script(text)
        step = next_step(script, since)
        said = step.text if step else closing_message(script, endings(since))
        for piece in pieces(said):
            yield TextDelta(piece)
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
        if said:
            yield ItemDone(AssistantMessage(said))
        for name, arguments in step.calls if step else ():
            yield ItemDone(ToolCall(f"call_{uuid.uuid4().hex[:24]}", name, arguments))
        yield Finished(stop_reason="tool_calls" if step else "end")


def summary(text: str) -> str:
    """What a model would say of a conversation, less the understanding."""
    lines = [line for line in text.splitlines() if line.strip()]
    return f"{len(lines)} lines, the last: {lines[-1][:200]}" if lines else "Nothing."


def closing_message(script: Script, ended: list[str]) -> str:
    if not script.steps:
        return f"{script.closing}\n\n{HOW_TO}" if script.closing else HOW_TO
    count = "1 command" if len(ended) == 1 else f"{len(ended)} commands"
    codes = [phrase.removeprefix("exit code ") for phrase in ended]
    if len(codes) > 1 and all(code.isdigit() for code in codes):
        done = f"Done: {count}, exit codes {', '.join(codes)}."
    else:
        done = f"Done: {count}, {'; '.join(ended)}."
    return f"{script.closing}\n\n{done}" if script.closing else done


def pieces(text: str) -> Iterator[str]:
    """`text` in pieces of a few words, nothing lost."""
    words = _WORDS.findall(text)
    for start in range(0, len(words), _WORDS_PER_DELTA):
        piece = "".join(words[start : start + _WORDS_PER_DELTA])
        if piece:
            yield piece
