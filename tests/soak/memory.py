"""Memory and processor time of the server, every few seconds, and which way the memory goes."""

import math
import statistics
import threading
import time
from dataclasses import dataclass, field

import psutil
from typing_extensions import override

EVERY_S = 2.0


@dataclass(slots=True)
class Samples:
    at_s: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def since(self, at_s: float) -> "Samples":
        """What was measured from then on."""
        first = next((i for i, at in enumerate(self.at_s) if at >= at_s), len(self.at_s))
        return Samples(self.at_s[first:], self.megabytes[first:], self.cpu_s[first:])

    @property
    def slope_mb_per_hour(self) -> float:
        """By least squares; NaN of fewer than two samples."""
        if len(self.at_s) < 2:
            return math.nan
        return statistics.linear_regression(self.at_s, self.megabytes).slope * 3600

    @property
    def cpu_share(self) -> float:
        """Of one core."""
        if len(self.at_s) < 2:
            return math.nan
        return (self.cpu_s[-1] - self.cpu_s[0]) / (self.at_s[-1] - self.at_s[0])


class Sampler(threading.Thread):
    """Follows a process (with its children, by PSS) from `start` to `stop`."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.samples = Samples()
        self._process = process
        self._is_over = threading.Event()

    @override
    def run(self) -> None:
        while not self._is_over.wait(EVERY_S):
            processes = [self._process, *self._process.children(recursive=True)]
            times = self._process.cpu_times()
            self.samples.at_s.append(time.monotonic())
            self.samples.megabytes.append(sum(_pss(one) for one in processes) / 1e6)
            self.samples.cpu_s.append(times.user + times.system)

    def stop(self) -> Samples:
        self._is_over.set()
        self.join(10)
        return self.samples


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0
