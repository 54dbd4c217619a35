"""One manager connection: bytes in, answers and events out, in Asterisk's order.

Rules, from main/manager.c do_message(), process_message(), process_events():

- An action's answer is written whole before any event that came up meanwhile; those follow it.
- While an action takes its time (a synchronous Originate, a failing Login) nothing else is read
  from this client and no event is sent to it.
- A client that does not read for `writetimeout` is cut.
"""

import asyncio
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Final

from pbxapi.simulator import manager
from pbxapi.simulator.actions import BANNER_VERSIONS, fully_booted
from pbxapi.simulator.classes import SYSTEM
from pbxapi.simulator.conversation import Conversation
from pbxapi.simulator.events import encode
from pbxapi.simulator.options import WRITE_TIMEOUT_S
from pbxapi.simulator.wire import Action, ActionReader

if TYPE_CHECKING:
    from pbxapi.simulator.server import Simulator

#: Seconds in which a client has to log in (`authtimeout`).
LOGIN_TIMEOUT_S: Final = 30.0
#: Bytes that may wait for a client before its write timeout runs; the kernel holds more.
HIGH_WATER_BYTES: Final = 256 * 1024
#: Bytes of events held back while a client cannot take any; past it the client is cut.
MAX_PENDING_BYTES: Final = 64 * 1024 * 1024


class Session(asyncio.Protocol):
    """Server side of one connection; a `Line` to its conversation, a `Listener` to the PBX."""

    def __init__(self, simulator: "Simulator") -> None:
        self.local_address = ("127.0.0.1", 0)
        self.remote_address = ("127.0.0.1", 0)
        self._simulator = simulator
        self._faults = simulator.faults
        self.conversation = Conversation(simulator.pbx, simulator.faults, self)
        self._reader = ActionReader()
        self._inbox: deque[Action] = deque()
        self._answer: list[str] | None = None  # what the action that runs has answered so far
        self._events: list[bytes] = []
        self._event_bytes = 0
        self._held = False
        self._closing = False
        self._muted = False
        self._paused = False
        self._flush_due = False
        self._trickle = bytearray()
        self._trickle_timer: asyncio.TimerHandle | None = None
        self._stuck_timer: asyncio.TimerHandle | None = None
        self._login_timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self.gone = asyncio.Event()

    # the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what TCP servers get
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self.local_address = transport.get_extra_info("sockname")[:2]
        self.remote_address = transport.get_extra_info("peername")[:2]
        self._simulator.sessions.add(self)
        self._simulator.pbx.announcer.listen(self)
        self._login_timer = self._loop.call_later(LOGIN_TIMEOUT_S, self._login_late)
        version = BANNER_VERSIONS[self._simulator.options.version]
        self._send(f"Asterisk Call Manager/{version}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        for action in self._reader.feed(data):
            self._simulator.note_received(self, action)
            self._inbox.append(action)
        self._work()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - Protocol's
        """The client is gone."""
        self.gone.set()
        self._closing = True
        self._transport = None
        self._simulator.sessions.discard(self)
        self._simulator.pbx.announcer.forget(self)
        for timer in (self._trickle_timer, self._stuck_timer, self._login_timer):
            if timer is not None:
                timer.cancel()

    def pause_writing(self) -> None:
        """The client does not read: it has until the write timeout to take something."""
        self._paused = True
        self._watch_progress(self._unsent())

    def resume_writing(self) -> None:
        """The client reads again."""
        self._paused = False
        if self._stuck_timer is not None:
            self._stuck_timer.cancel()
        self._schedule_flush()

    def _watch_progress(self, unsent: int) -> None:
        user = self.conversation.user
        timeout_s = user.write_timeout_s if user is not None else WRITE_TIMEOUT_S
        self._stuck_timer = self._loop.call_later(timeout_s, self._check_progress, unsent)

    def _check_progress(self, unsent: int) -> None:
        now = self._unsent()
        if now < unsent:
            self._watch_progress(now)
        else:
            self._simulator.clients_cut += 1
            self.cut()

    def _unsent(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def _login_late(self) -> None:
        if self.conversation.user is None:
            self.close()

    def cut(self, *, reset: bool = False) -> None:
        """End the connection now, whatever is unsent: with FIN, or with `reset` by RST."""
        if self._transport is None:
            return
        self._closing = True
        if reset:
            raw: socket.socket = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    # actions

    def _work(self) -> None:
        while self._inbox and not (self._held or self._closing or self._faults.stalled):
            action = self._inbox.popleft()
            delay_s = self._faults.slow.get(action.name.lower(), 0.0)
            if delay_s > 0:
                self.hold()
                self._loop.call_later(delay_s, self._run_late, action)
            else:
                self._run(action)
        self._schedule_flush()

    def _run_late(self, action: Action) -> None:
        self._held = False
        self._run(action)
        self._work()

    def _run(self, action: Action) -> None:
        self._muted = self._faults.take_drop(action.name)
        self._answer = []
        manager.dispatch(self.conversation, action)
        answer, self._answer = self._answer, None
        self._send(encode("".join(answer)))
        if self._closing:
            self.close()
        if not self._held:
            self._muted = False
        if self.conversation.user is not None and self._login_timer is not None:
            self._login_timer.cancel()
            self._login_timer = None

    def write(self, text: str) -> None:
        """Send text of an answer."""
        if self._muted:
            return
        if self._answer is not None:
            self._answer.append(text)
        else:
            self._send(encode(text))

    def hold(self) -> None:
        """Read no further action and send no event until `release`."""
        self._held = True

    def release(self) -> None:
        """Go on with actions and events."""
        self._held = self._muted = False
        self._loop.call_soon(self._work)

    def close(self) -> None:
        """Hang up on the client once everything is sent."""
        self._closing = True
        if self._transport is not None and not self._trickle and self._answer is None:
            self._transport.close()

    # events

    @property
    def events(self) -> int:
        """Classes of events that this client gets."""
        return self.conversation.events

    def deliver(self, payload: bytes) -> None:
        """Queue one event."""
        if self._closing or not self.conversation.filters.passes(payload):
            return
        self._events.append(payload)
        self._event_bytes += len(payload)
        if self._event_bytes > MAX_PENDING_BYTES:
            self._simulator.clients_cut += 1
            self.cut()
        elif not self._flush_due:
            self._schedule_flush()

    def tell_booted(self) -> None:
        """The PBX has finished booting after this client logged in."""
        if self.conversation.events & SYSTEM:
            self.deliver(encode(fully_booted(self.conversation)))

    def flush(self) -> None:
        """Send the events that wait, unless the client is in the middle of an action."""
        self._flush_due = False
        if not self._events or self._held or self._paused or self._faults.stalled:
            return
        payload = b"".join(self._events)
        self._events.clear()
        self._event_bytes = 0
        self._send(payload)

    def resume(self) -> None:
        """After a stall: go on where everything stopped."""
        self._drain_trickle()
        self._work()

    def _schedule_flush(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self.flush)

    # bytes

    def _send(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing() or not data:
            return
        faults = self._faults
        if self._trickle or faults.stalled or faults.bytes_per_write:
            self._trickle += data
            if self._trickle_timer is None:
                self._drain_trickle()
        else:
            self._transport.write(data)

    def _drain_trickle(self) -> None:
        """Write what faults hold back, as fast as they let it."""
        self._trickle_timer = None
        if self._transport is None or self._faults.stalled:
            return
        size = self._faults.bytes_per_write or len(self._trickle)
        self._transport.write(bytes(self._trickle[:size]))
        del self._trickle[:size]
        if self._trickle:
            delay_s = self._faults.write_delay_s
            self._trickle_timer = self._loop.call_later(delay_s, self._drain_trickle)
        elif self._closing:
            self._transport.close()
