"""The guest's event loop: one epoll set, timers, and signals through a wake-up pipe."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` would import enum
import os
import sys
import time
from _heapq import heappop, heappush
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, epoll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READ = EPOLLIN | EPOLLHUP | EPOLLERR
WRITE = EPOLLOUT


class Timer:
    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when

    def cancel(self) -> None:
        self.callback = None


class Loop:
    def __init__(self) -> None:
        self._epoll = epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[Timer] = []
        self._running = False

    def watch(self, fd: int, mask: int, handler: Callable[[int], None]) -> None:
        """Call `handler(events)` while `fd` is ready; replaces an earlier watch."""
        if fd in self._handlers:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)
        self._handlers[fd] = handler

    def unwatch(self, fd: int) -> None:
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(time.monotonic() + seconds, callback)
        heappush(self._timers, timer)
        return timer

    def on_signals(self, signals: list[int], handler: Callable[[int], None]) -> None:
        """Call `handler(number)` from the loop, never in the middle of something else."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # The byte only wakes: a child that was signalled before its exec writes here as well.
        _signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        arrived: set[int] = set()
        for number in signals:
            _signal.signal(number, lambda number, _frame: arrived.add(number))

        def wake(_events: int) -> None:
            os.read(reader, 4096)
            while arrived:
                handler(arrived.pop())

        self.watch(reader, READ, wake)

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        self._running = True
        while self._running:
            for fd, events in self._epoll.poll(self._until_next_timer(), 64):
                # An earlier handler of this round may have closed this one.
                handler = self._handlers.get(fd)
                if handler is not None:
                    _guarded(handler, events)
            self._run_timers()

    def _until_next_timer(self) -> float:
        while self._timers and self._timers[0].callback is None:
            heappop(self._timers)
        if not self._timers:
            return -1
        return max(0.0, self._timers[0].when - time.monotonic())

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0].when <= now:
            callback = heappop(self._timers).callback
            if callback is not None:
                _guarded(callback)


def _guarded(callback: Callable[..., None], *arguments: int) -> None:
    """PID 1 outlives its own mistakes: its end would be the container's."""
    try:
        callback(*arguments)
    except Exception:  # noqa: BLE001 - the top of the guest; shown on its standard error
        sys.excepthook(*sys.exc_info())
