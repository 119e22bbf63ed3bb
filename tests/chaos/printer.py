"""What the commands of a run print: bytes that only their name decides.

A command is this very file, given to the container's Python, so it uses the standard library only;
the run imports `pieces` to know what must have come.
"""

import os
import random
import sys
import time

KINDS = ("lines", "burst", "silence", "mixed", "split", "mute")
"""Those that a run chooses from; `steady` is for tests that need to know what is running."""
STEADY_S = 40.0
WORDS = ("berth", "größe", "日本語", "ключ", "🚢", "\x1b[31mrot\x1b[0m", "\r50 %\r100 %")


def pieces(name, kind):
    """Yields (1 for stdout or 2 for stderr, bytes, seconds to wait afterwards)."""
    rng = random.Random(name)
    yield from _BY_KIND[kind](name, rng)
    yield 2, f"{name} is done\n".encode(), 0.0


def _lines(name, rng):
    for number in range(rng.randrange(15, 60)):
        line = f"{name} {number} {rng.choice(WORDS)}\n".encode()
        yield rng.choice((1, 1, 2)), line, rng.uniform(0.02, 0.3)


def _burst(name, rng):
    for _ in range(rng.randrange(8, 48)):
        yield 1, rng.randbytes(65536), 0.0
        if rng.random() < 0.1:
            yield 2, f"{name} err\n".encode(), 0.0


def _silence(name, rng):
    yield 1, f"{name} waits\n".encode(), rng.uniform(3.0, 9.0)
    yield 1, f"{name} goes on\n".encode(), 0.0


def _mute(name, rng):
    """Nothing of it is known for long but that it began."""
    yield 1, b"", rng.uniform(3.0, 9.0)
    yield 1, f"{name} speaks\n".encode(), 0.0


def _mixed(name, rng):
    for _ in range(rng.randrange(4, 16)):
        yield rng.choice((1, 2)), rng.randbytes(rng.randrange(1, 200_000)), rng.uniform(0.0, 0.5)


def _split(name, rng):
    """Characters of several bytes, cut anywhere."""
    text = "".join(rng.choices(WORDS, k=200)).encode()
    while text:
        size = rng.randrange(1, 40)
        yield 1, text[:size], 0.05
        text = text[size:]


def _steady(name, rng):
    for number in range(int(STEADY_S * 10)):
        yield rng.choice((1, 2)), f"{name} {number} {rng.choice(WORDS)}\n".encode(), 0.1


_BY_KIND = {
    "lines": _lines,
    "burst": _burst,
    "silence": _silence,
    "mixed": _mixed,
    "split": _split,
    "mute": _mute,
    "steady": _steady,
}


def main(name, kind):
    note("began", name)
    for descriptor, data, pause_s in pieces(name, kind):
        written = 0
        while written < len(data):
            written += os.write(descriptor, data[written:])
        time.sleep(pause_s)
    note("ended", name)


def note(file, name):
    """One line, whole, behind all others."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, f"{name}\n".encode())
    os.close(descriptor)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
