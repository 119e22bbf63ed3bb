"""One engine for all tests that kill it: to start one, and to copy the image, takes as long as a test.

Where none can be started the tests fail: a machine on which they are skipped would tell nothing of
what happens when an engine is killed.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.engine import OwnEngine


@pytest.fixture(scope="session")
def engine() -> Iterator[OwnEngine]:
    """In a folder with a short name: sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="berth-engine-", ignore_cleanup_errors=True) as folder:
        engine = OwnEngine(Path(folder))
        try:
            engine.start()
            yield engine
        finally:
            engine.stop()
