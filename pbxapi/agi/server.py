"""Listening for FastAGI: `async with serving_agi(cards, listen) as address`.

The event loop reads the environment of a visitor and looks at its card; strangers cost no more
than that. Who has a good card is handed to a thread, where pyst2's blocking conversation runs.

Everything ends `Limits.deadline_s` after the connection was accepted, whatever the other side
does. A new visitor is always let in: if there are too many, the one that has kept silent the
longest goes. At the end of the block the sockets of running conversations are shut down, at which
their threads come back at once.

Log: `agi.served` for each conversation, `agi.interrupted` for one that did not come to its end,
whose call then lacks its fields; `agi.refused` for anybody else, for each reason a warning at first
and then once a minute with how many there were, the others at debug level. Never a value.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, cast

import structlog
from asterisk.agi import AGIError, AGIHangup

from pbxapi.agi.cards import CallCards
from pbxapi.agi.conversation import Conversation, Wire, command_line, quote
from pbxapi.agi.environment import EnvironmentReader, NotAnEnvironment, script_name
from pbxapi.agi.scripts import Assignment, Refused, assignments
from pbxapi.agi.tally import CallTally
from pbxapi.config import Listen
from pbxapi.errors import UsageError

#: Connections that the kernel may hold while the loop is busy.
_BACKLOG: Final = 512
#: A reason for refusals is told of once in this time.
_TELL_AGAIN_S: Final = 60.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is borne at once.

    Attributes:
        deadline_s: From the accepted connection to its end; the dialplan waits as long.
        visitors: Connections whose environment is being read.
        running: Conversations that run, a thread each. More threads fight for the interpreter:
            64 conversations at once took 130 ms with 64 threads, 60 to 85 ms with 2 or 8.
        waiting: Conversations that wait for a thread.
    """

    deadline_s: float = 0.25
    visitors: int = 256
    running: int = 16
    waiting: int = 112


@dataclass(frozen=True, slots=True)
class _Job:
    """A conversation to hold, with all that its thread needs; the thread closes the socket."""

    sock: socket.socket
    accepted: float
    deadline: float
    environment: EnvironmentReader
    assignments: Sequence[Assignment]

    def run(self) -> str:
        """Hold the conversation; returns why it failed, or ""."""
        with self.sock:
            try:
                self._talk()
            except TimeoutError:
                return "deadline"
            except AGIHangup:
                return "hangup"
            except (AGIError, OSError) as error:
                return str(error)  # no text of these has a value in it
        return ""

    def _talk(self) -> None:
        for variable, value in self.assignments:  # all of them, before the first is sent
            command_line("SET VARIABLE", quote(variable), quote(value))
        wire = Wire(self.sock, self.deadline, self.environment.rest)
        conversation = Conversation(wire, self.environment.values)
        for variable, value in self.assignments:
            conversation.set_variable(variable, value)


class _Refusals:
    """Counts refusals by reason, and tells of them without flooding the log."""

    def __init__(self, tally: CallTally) -> None:
        self._counts = tally.refused
        self._told: dict[str, float] = {}

    def add(self, reason: str) -> None:
        """Count one."""
        self._counts[reason] += 1
        now = time.monotonic()
        told = self._told.get(reason)
        if told is not None and now - told < _TELL_AGAIN_S:
            _log.debug("agi.refused", reason=reason, total=self._counts[reason])
            return
        self._told[reason] = now
        _log.warning("agi.refused", reason=reason, total=self._counts[reason])


class _Server:
    """The state of one listener."""

    def __init__(self, cards: CallCards, limits: Limits, tally: CallTally) -> None:
        self.cards = cards
        self.limits = limits
        self.refusals = _Refusals(tally)
        self._served = tally.served
        self._pool = ThreadPoolExecutor(limits.running, thread_name_prefix="agi")
        # A dict for its order: the oldest first.
        self._visitors: dict[_Visitor, None] = {}
        self._talking: dict[asyncio.Future[str], _Job] = {}
        self._closing = False

    def admit(self, visitor: "_Visitor") -> None:
        """A connection came in."""
        self._visitors[visitor] = None
        if len(self._visitors) > self.limits.visitors:
            next(iter(self._visitors)).leave("crowded")

    def dismiss(self, visitor: "_Visitor") -> None:
        """A visitor left, or begins to talk."""
        self._visitors.pop(visitor, None)

    @property
    def is_full(self) -> bool:
        """No further conversation can begin."""
        limits = self.limits
        return self._closing or len(self._talking) >= limits.running + limits.waiting

    def start(self, job: _Job) -> None:
        """Give a conversation to a thread."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, job.run)
        self._talking[future] = job
        future.add_done_callback(self._on_done)

    def _on_done(self, future: asyncio.Future[str]) -> None:
        job = self._talking.pop(future)
        script = script_name(job.environment.values)
        log = _log.bind(
            script=script,
            uniqueid=job.environment.values.get("agi_uniqueid", ""),
            took_ms=round((time.monotonic() - job.accepted) * 1000, 1),
        )
        error = future.exception()
        if error is not None:
            self._served[script, "failed"] += 1
            log.error("agi.failed", exc_info=error)
        elif reason := future.result():
            self._served[script, "interrupted"] += 1
            log.warning("agi.interrupted", reason=reason)
        else:
            self._served[script, "served"] += 1
            log.info("agi.served", variables=len(job.assignments))

    async def close(self) -> None:
        """End all connections and wait for the threads."""
        self._closing = True
        for visitor in tuple(self._visitors):
            visitor.leave("closing")
        for job in self._talking.values():
            _shut_down(job.sock)
        if self._talking:
            await asyncio.wait(tuple(self._talking))
        self._pool.shutdown(wait=False)


def _shut_down(sock: socket.socket) -> None:
    """End both directions, at which a thread that waits for the socket wakes up."""
    with suppress(OSError):  # it may have ended already
        sock.shutdown(socket.SHUT_RDWR)


class _Visitor(asyncio.Protocol):
    """A connection until its environment is read."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._environment = EnvironmentReader()
        self._accepted = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._server.limits.deadline_s, self.leave, "deadline")
        self._server.admit(self)

    def data_received(self, data: bytes) -> None:
        try:
            if self._environment.feed(data):
                self._begin()
        except NotAnEnvironment:
            self.leave("environment")
        except Refused as refused:
            self.leave(refused.reason)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        if not self._timer.cancelled():
            self.leave("hangup")

    def leave(self, reason: str) -> None:
        """End the connection without a word."""
        self._detach()
        self._server.refusals.add(reason)

    def _begin(self) -> None:
        server = self._server
        wanted = assignments(self._environment.values, server.cards)
        if server.is_full:
            raise Refused("busy")
        try:
            # Another descriptor of the same connection: the transport can go.
            sock = self._transport.get_extra_info("socket").dup()
        except OSError:
            raise Refused("descriptors") from None
        self._detach()
        deadline = self._accepted + server.limits.deadline_s
        server.start(_Job(sock, self._accepted, deadline, self._environment, wanted))

    def _detach(self) -> None:
        self._timer.cancel()
        self._server.dismiss(self)
        self._transport.abort()


@asynccontextmanager
async def serving_agi(
    cards: CallCards,
    listen: Listen,
    limits: Limits | None = None,
    *,
    tally: CallTally | None = None,
) -> AsyncIterator[str]:
    """Serve FastAGI until the block ends; `tally` counts what became of whom.

    Yields:
        "host:port", with the real port where port 0 was asked for.

    Raises:
        UsageError: the address cannot be had.
    """
    tally = tally or CallTally()
    server = _Server(cards, limits or Limits(), tally)
    loop = asyncio.get_running_loop()
    try:
        listener = await loop.create_server(
            lambda: _Visitor(server), listen.host, listen.port, backlog=_BACKLOG
        )
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"FastAGI cannot listen on {listen}: {reason}") from error
    try:
        port = listener.sockets[0].getsockname()[1]
        address = str(Listen(listen.host, port))
        _log.info("agi.listening", address=address)
        tally.is_listening = True
        yield address
    finally:
        tally.is_listening = False
        listener.close()
        await server.close()
        await listener.wait_closed()
