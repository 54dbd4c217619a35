"""Threads of the simulated PBX: generators that yield what they wait for.

Asterisk runs the dial plan of a channel in a thread of its own. Here such a thread is a generator:
it yields a `Wait` and is resumed with the signal's value, or with None when time ran out. Rules:

- One step runs at a time. What a step sets off in other threads is queued and runs after it, in
  order: a thread may hang up any channel, its own included, and nothing depends on chance.
- `interrupt` throws into the thread at its next turn: `HungUp`, or `AsyncGoto` to go on elsewhere.
"""

from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from pbxapi.simulator.clock import Clock, Timer


class HungUp(Exception):
    """The channel that runs this thread is to end."""


class AsyncGoto(Exception):
    """The channel is to leave what it does and go on at an extension, as after a transfer."""

    def __init__(self, context: str, exten: str) -> None:
        super().__init__(context, exten)
        self.location = (context, exten)


class Signal:
    """Something that happens at most once; whoever waits for it is resumed with its value."""

    __slots__ = ("_fired", "_value", "_waiter")

    def __init__(self) -> None:
        self._fired = False
        self._value: Any = None
        self._waiter: Callable[[Any], None] | None = None

    def fire(self, value: Any = True) -> None:
        """Let it happen; a second time changes nothing."""
        if self._fired:
            return
        self._fired, self._value = True, value
        if self._waiter is not None:
            self._waiter(value)

    def subscribe(self, waiter: Callable[[Any], None]) -> None:
        """Tell one waiter, at once if it has happened already."""
        self._waiter = waiter
        if self._fired:
            waiter(self._value)

    def forget(self) -> None:
        """Nobody waits any more."""
        self._waiter = None


class Wait:
    """What a thread yields: until a signal comes, at most so many seconds; None = for ever."""

    __slots__ = ("signal", "timeout_s")

    def __init__(self, signal: Signal | None = None, timeout_s: float | None = None) -> None:
        self.signal = signal
        self.timeout_s = timeout_s


Script = Generator[Wait, Any, Any]


class Scheduler:
    """Runs steps one after another; see the rules of this module.

    Attributes:
        at_stop: What holds resources outside of the PBX, and how they are released.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._ready: deque[Callable[[], object]] = deque()
        self._running = False
        self._stopped = False
        self.at_stop: dict[object, Callable[[], None]] = {}

    def stop(self) -> None:
        """Run nothing any more, and release what is held: the PBX of these threads is dead."""
        self._stopped = True
        self._ready.clear()
        while self.at_stop:
            _, release = self.at_stop.popitem()
            release()

    def post(self, step: Callable[[], object]) -> None:
        """Run a step after those that are queued; at once when nothing runs."""
        if self._stopped:
            return
        self._ready.append(step)
        if self._running:
            return
        self._running = True
        try:
            while self._ready:
                self._ready.popleft()()
        finally:
            self._running = False

    def later(self, delay_s: float, step: Callable[[], None]) -> Timer:
        """Run a step after so many seconds."""
        return self.clock.call_later(delay_s, lambda: self.post(step))

    def spawn(self, script: Script, on_end: Callable[[], None]) -> "Thread":
        """Start a thread; `on_end` is called when it has ended, in whatever way."""
        return Thread(self, script, on_end)


class Thread:
    """One generator being run."""

    __slots__ = ("_on_end", "_scheduler", "_script", "_serial", "_signal", "_timer", "alive")

    def __init__(self, scheduler: Scheduler, script: Script, on_end: Callable[[], None]) -> None:
        self._scheduler = scheduler
        self._script = script
        self._on_end = on_end
        self._signal: Signal | None = None
        self._timer: Timer | None = None
        self._serial = 0
        self.alive = True
        scheduler.post(lambda: self._step(0, None, None))

    def interrupt(self, reason: Exception) -> None:
        """Throw into the thread at its next turn, instead of what it waits for."""
        self._stop_waiting()
        serial = self._serial
        self._scheduler.post(lambda: self._step(serial, None, reason))

    def _stop_waiting(self) -> None:
        self._serial += 1
        if self._signal is not None:
            self._signal.forget()
            self._signal = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _resume(self, value: Any) -> None:
        self._stop_waiting()
        serial = self._serial
        self._scheduler.post(lambda: self._step(serial, value, None))

    def _step(self, serial: int, value: Any, error: Exception | None) -> None:
        if not self.alive or serial != self._serial:
            return
        try:
            wait = self._script.throw(error) if error is not None else self._script.send(value)
        except (StopIteration, HungUp, AsyncGoto):
            self.alive = False
            self._on_end()
            return
        if serial != self._serial:
            return  # it was interrupted by what it did itself
        if wait.signal is not None:
            self._signal = wait.signal
            wait.signal.subscribe(self._resume)
        if wait.timeout_s is not None and serial == self._serial:
            self._timer = self._scheduler.clock.call_later(
                wait.timeout_s, lambda: self._resume(None)
            )
