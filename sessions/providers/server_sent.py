"""A stream of server-sent events, cut into its events."""

from collections.abc import AsyncIterable, AsyncIterator

MAX_EVENT_BYTES = 4 * 1024 * 1024


class EventTooLargeError(ValueError):
    pass


async def raw_events(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Each with the empty line that ends it, whatever line ends are used; what is behind the last
    is a part of an event, and is left out. Raises: EventTooLargeError."""
    lines: list[bytes] = []
    size = 0
    rest = b""
    async for piece in pieces:
        whole = (rest + piece).splitlines(keepends=True)
        # The rest of a line may still come, as may the second character of its end.
        rest = whole.pop() if whole and not whole[-1].endswith(b"\n") else b""
        for line in whole:
            lines.append(line)
            size += len(line)
            if not line.strip():
                yield b"".join(lines)
                lines, size = [], 0
        if size + len(rest) > MAX_EVENT_BYTES:
            raise EventTooLargeError(f"an event is longer than {MAX_EVENT_BYTES >> 20} MiB")


def data_of(event: bytes) -> bytes:
    """What its lines of data hold."""
    lines = [line for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(line.removeprefix(b"data:").removeprefix(b" ") for line in lines)
