"""A stream of server-sent events, cut into its events."""

from collections.abc import AsyncGenerator, AsyncIterable

MAX_EVENT_BYTES = 64 * 1024 * 1024
"""The last event of a response holds all that was said and made."""


class EventTooLargeError(ValueError):
    pass


async def raw_events(pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """Each with the empty line that ends it, whatever line ends are used; what is behind the last
    is a part of an event, and is left out. Raises: EventTooLargeError."""
    lines: list[bytes] = []
    rest: list[bytes] = []
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > MAX_EVENT_BYTES:
            raise EventTooLargeError(f"an event is longer than {MAX_EVENT_BYTES >> 20} MiB")
        rest.append(piece)
        if b"\n" not in piece and b"\r" not in piece:
            continue
        whole = b"".join(rest).splitlines(keepends=True)
        # The rest of a line may still come, as may the second character of its end.
        rest = [whole.pop()] if not whole[-1].endswith(b"\n") else []
        for line in whole:
            lines.append(line)
            if not line.strip():
                event = b"".join(lines)
                lines = []
                size -= len(event)
                yield event


def data_of(event: bytes) -> bytes:
    """What its lines of data hold."""
    lines = [line for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(line.removeprefix(b"data:").removeprefix(b" ") for line in lines)
