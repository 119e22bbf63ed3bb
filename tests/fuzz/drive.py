"""One target under libFuzzer: `python -m tests.fuzz.drive TARGET [libFuzzer's options]`."""

import importlib
import sys
from random import Random

import atheris

from tests.fuzz.frames import encode, mutated, parse

MAX_CHANGES = 4


def main() -> None:
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["sessions.sandbox"]):
        target = importlib.import_module(f"tests.fuzz.targets.{name}")

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        source = Random(seed)
        frames, rest = parse(data)
        if source.randrange(8) == 0:
            return bytes(atheris.Mutate(data, max_size))
        for _change in range(source.randint(1, MAX_CHANGES)):
            frames = mutated(frames, target.TEMPLATES, source)
        changed = encode(frames) + rest
        return changed if len(changed) <= max_size else data[:max_size]

    atheris.Setup(sys.argv, target.run, custom_mutator=mutate)
    atheris.Fuzz()


main()
