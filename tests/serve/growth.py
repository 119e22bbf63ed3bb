"""How much more memory a server takes while something is done with it."""

import contextlib
import threading
from types import TracebackType

import psutil

from tests.sandbox.memory import proportional_mb
from tests.serve.server_process import ServerProcess

SAMPLE_S = 0.03


class Growth:
    """`with Growth(server) as growth:`; afterwards `growth.mb` is the most that was seen beyond
    the beginning, the server's own child processes included."""

    def __init__(self, server: ServerProcess) -> None:
        self._process = psutil.Process(server.process.pid)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Growth":
        self._before = self._peak = self._mb()
        self._samples = 0
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()

    @property
    def mb(self) -> float:
        assert self._samples > 10, f"only {self._samples} samples were taken"
        return self._peak - self._before

    def _sample(self) -> None:
        while not self._is_over.wait(SAMPLE_S):
            self._peak = max(self._peak, self._mb())
            self._samples += 1

    def _mb(self) -> float:
        total = proportional_mb(self._process.pid)
        for child in self._process.children(recursive=True):
            with contextlib.suppress(OSError, AssertionError):  # it has just ended
                total += proportional_mb(child.pid)
        return total
