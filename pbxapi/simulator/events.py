"""Events on their way from the PBX to whoever listens.

An event is put into bytes once, however many sessions get it, and not at all when nobody's classes
want it: VarSet alone is half of the bytes of a call.
"""

from collections import deque
from typing import Protocol

from pbxapi.simulator import classes
from pbxapi.simulator.clock import Clock


class Listener(Protocol):
    """Somebody who gets events, a manager session for one."""

    @property
    def events(self) -> int:
        """The classes it gets."""

    def deliver(self, payload: bytes) -> None:
        """Take one event, blank line included."""


def encode(text: str) -> bytes:
    """Text as it goes to the wire; bytes that were not UTF-8 on their way in come out unchanged."""
    return text.encode("utf-8", "surrogateescape")


class Announcer:
    """Tells listeners of events.

    Attributes:
        wanted: Classes that somebody listens to; asked before the text of an event is made.
        emitted: Events that somebody got, for measurements.
        latency_s: Seconds between a change and its event, as Asterisk's message bus takes them.
    """

    def __init__(self, clock: Clock, latency_s: float = 0.0) -> None:
        self._clock = clock
        self._listeners: list[Listener] = []
        self._late: deque[tuple[int, bytes]] = deque()
        self._held = False
        self.latency_s = latency_s
        self.wanted = 0
        self.emitted = 0

    def listen(self, listener: Listener) -> None:
        """Let a listener have the events of its classes from now on."""
        self._listeners.append(listener)
        self.refresh()

    def forget(self, listener: Listener) -> None:
        """Send a listener nothing more; harmless when it never listened."""
        if listener in self._listeners:
            self._listeners.remove(listener)
            self.refresh()

    def refresh(self) -> None:
        """Some listener's classes have changed."""
        self.wanted = 0
        for listener in self._listeners:
            self.wanted |= listener.events

    def emit(self, name: str, mask: int, text: str) -> None:
        """Send one event to those whose classes include all of `mask`.

        Args:
            name: Its name.
            mask: Its classes.
            text: The headers behind `Privilege`, each with its line end.
        """
        if not mask & self.wanted:
            return
        self.emitted += 1
        payload = encode(f"Event: {name}\r\nPrivilege: {classes.privilege(mask)}\r\n{text}\r\n")
        if not (self.latency_s or self._late or self._held):
            self._deliver(mask, payload)
            return
        self._late.append((mask, payload))
        if not self._held:
            self._clock.call_later(self.latency_s, self._deliver_next)

    def hold(self) -> None:
        """Keep every event back until `release`; answers to actions do not wait."""
        self._held = True

    def release(self) -> None:
        """Deliver what was kept back, in order."""
        self._held = False
        while self._late:
            self._deliver(*self._late.popleft())

    def _deliver_next(self) -> None:
        if self._late and not self._held:
            self._deliver(*self._late.popleft())

    def _deliver(self, mask: int, payload: bytes) -> None:
        for listener in self._listeners:
            if listener.events & mask == mask:
                listener.deliver(payload)
