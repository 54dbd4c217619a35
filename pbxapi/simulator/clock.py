"""Time as the simulated PBX sees it: the event loop's, or a virtual one that only tests advance.

Everything inside the PBX happens in callbacks of one clock, so under `VirtualClock` the same seed
gives the same events, byte for byte.
"""

import asyncio
import heapq
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A callback that is due later."""

    def cancel(self) -> None:
        """Make it never happen; harmless when it already has."""


class Clock(Protocol):
    """What the PBX asks of time."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back after so many seconds."""


class LoopClock:
    """The running event loop's timers and the machine's wall clock."""

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back from the event loop."""
        return asyncio.get_running_loop().call_later(delay_s, callback)


class _VirtualTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """Time that stands still until `advance` is called.

    Args:
        start: What the clock shows at first, seconds since the epoch.
    """

    def __init__(self, start: float = 1_795_461_426.0) -> None:
        self._now = start
        self._order = 0
        self._timers: list[tuple[float, int, _VirtualTimer]] = []

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back during the `advance` that passes that moment, earlier ones first."""
        timer = _VirtualTimer(callback)
        self._order += 1
        heapq.heappush(self._timers, (self._now + max(0.0, delay_s), self._order, timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let that much time pass, with everything that falls due in it."""
        end = self._now + seconds
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self._now = due
            if timer.callback is not None:
                timer.callback()
        self._now = end
