"""One AMI connection, used once: from the TCP connect to its loss.

Rules of this module:
* an answer is matched by its ActionID and by nothing else;
* every request has a deadline, and what comes after it is dropped and counted;
* writing a request and registering who waits for it happen without an await between them;
* when the connection is lost, everybody who waits hears the *first* cause;
* nothing is ever sent a second time.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, cast

from pbxapi.ami.message import Message
from pbxapi.ami.protocol import AmiProtocol, ProtocolError
from pbxapi.ami.requests import CHALLENGE, Request, encode, login, login_md5
from pbxapi.errors import PbxapiError, PbxRefused, PbxUnavailable

#: How long Asterisk may take to answer a request (contract: "gave no answer in 5 s").
ANSWER_DEADLINE_S: Final = 5.0
#: A list of 10,000 channels takes Asterisk 0.2 s; the rest is for a PBX under load.
LIST_DEADLINE_S: Final = 15.0
#: Asterisk answers a Challenge at once; who does not know it may say nothing at all.
CHALLENGE_DEADLINE_S: Final = 2.0
#: At most so much is read, and handed on, before the event loop does something else: some hundreds
#: of messages, a few milliseconds. asyncio's own 256 KiB of a list would hold up every request.
READ_BYTES: Final = 32 * 1024
#: Connecting, and the banner, on a host that answers at all.
CONNECT_DEADLINE_S: Final = 5.0


class LoginRefused(PbxapiError):
    """Asterisk does not accept the user name or the secret."""


class ConnectionClosed(PbxUnavailable):
    """The other side ended the connection."""


@dataclass(slots=True)
class _Waiter:
    """Who waits for the answer to one ActionID; `on_item` is set where the answer is a list."""

    answer: asyncio.Future[Message]
    on_item: Callable[[Message], None] | None = None
    started: bool = False


class AmiSession(asyncio.BufferedProtocol):
    """The asyncio shell around `AmiProtocol`; made by `connect`.

    Args:
        wanted: Names of the events that `on_event` is called for.
        on_event: Called in the order of arrival, from the transport's callback; must not block.

    Attributes:
        events: Number of events handed to `on_event`.
        orphans: Number of answers that nobody waited for any more, items of lists among them.
        last_received: Loop time at which the last bytes came.
        lost: Done once the session has ended; its result is the cause.
    """

    def __init__(self, wanted: Iterable[str], on_event: Callable[[Message], None]) -> None:
        loop = asyncio.get_running_loop()
        self._wanted = frozenset(wanted)
        self._protocol = AmiProtocol(self._wanted)
        self._on_event = on_event
        self._waiters: dict[str, _Waiter] = {}
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(READ_BYTES)
        self._writable = True
        self._banner: asyncio.Future[str] = loop.create_future()
        self._loop = loop
        # Ids of this session cannot be met in another, so a late answer finds nobody.
        self._id_prefix = secrets.token_hex(4)
        self._last_id = 0
        self.events = 0
        self.orphans = 0
        self.last_received: float = loop.time()
        self.lost: asyncio.Future[PbxapiError] = loop.create_future()

    # -- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - asyncio's signature
        """Where to read to: so much at once, that others get their turn during a long list."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand on what these bytes completed."""
        self.last_received = self._loop.time()
        try:
            messages = self._protocol.receive_data(bytes(self._buffer[:nbytes]))
        except ProtocolError as error:
            self.close(error)
            return
        if self._protocol.banner is not None and not self._banner.done():
            self._banner.set_result(self._protocol.banner)
        for message in messages:
            if not message.action_id and message.event in self._wanted:
                self.events += 1
                self._on_event(message)
            else:
                self._dispatch(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        self.close(ConnectionClosed(str(exc) if exc else "Asterisk closed the connection"))

    def pause_writing(self) -> None:
        """Asterisk does not read what we send."""
        self._writable = False

    def resume_writing(self) -> None:
        """Asterisk reads again."""
        self._writable = True

    # -- requests

    @property
    def skipped(self) -> int:
        """Number of events that were dropped undecoded."""
        return self._protocol.skipped

    @property
    def banner(self) -> str:
        """The server's banner, such as "Asterisk Call Manager/5.0.4"; "" before it came."""
        return self._protocol.banner or ""

    async def log_in(self, username: str, secret: str) -> Message:
        """Wait for the banner and log in, by MD5 challenge where the server offers one.

        Raises:
            LoginRefused: the server does not know the user or the secret.
            PbxUnavailable: anything else.
        """
        async with _deadline("the AMI banner", CONNECT_DEADLINE_S):
            await asyncio.shield(self._banner)
        challenge = await self._challenge()
        request = login_md5(username, secret, challenge) if challenge else login(username, secret)
        try:
            return await self.request(request)
        except PbxRefused as error:
            raise LoginRefused(str(error)) from error

    async def _challenge(self) -> str:
        """The server's challenge, or "" where it has none: proxies of AMI may not know the word."""
        try:
            return (await self.request(CHALLENGE, CHALLENGE_DEADLINE_S)).get("Challenge")
        except PbxRefused:
            return ""
        except PbxUnavailable:
            if self.lost.done():
                raise
            return ""

    async def request(self, request: Request, deadline_s: float = ANSWER_DEADLINE_S) -> Message:
        """Send an action and return the response to it.

        Raises:
            PbxRefused: the response is an error; the text is Asterisk's.
            PbxUnavailable: no answer before the deadline, or the session is lost.
        """
        return await self._exchange(request, _Waiter(self._loop.create_future()), deadline_s)

    async def request_list(
        self,
        request: Request,
        on_item: Callable[[Message], None],
        deadline_s: float = LIST_DEADLINE_S,
    ) -> Message:
        """Send an action that is answered by an event list; return its last event.

        `on_item` is called for each item as it arrives, so that its place among the other events
        is kept: an item is never older than the events that came before it.

        Raises:
            PbxRefused: the response is an error, or the list was cancelled.
            PbxUnavailable: no answer before the deadline, or the session is lost.
        """
        waiter = _Waiter(self._loop.create_future(), on_item)
        return await self._exchange(request, waiter, deadline_s)

    def close(self, cause: PbxapiError) -> None:
        """End the session; the first cause given is the one that everybody hears."""
        if self.lost.done():
            return
        self.lost.set_result(cause)
        for waiter in self._waiters.values():
            if not waiter.answer.done():
                waiter.answer.set_exception(_unavailable(cause))
        if not self._banner.done():
            self._banner.set_exception(_unavailable(cause))
            self._banner.exception()  # read here: perhaps nobody waits for it
        if self._transport is not None:
            # Not close(): what is still unsent must never reach Asterisk.
            self._transport.abort()

    async def _exchange(self, request: Request, waiter: _Waiter, deadline_s: float) -> Message:
        if self.lost.done():
            raise _unavailable(self.lost.result())
        if self._transport is None or not self._writable:
            raise PbxUnavailable("Asterisk does not read from its AMI connection")
        if self._transport.is_closing():  # broken just now; asyncio tells us in its next turn
            raise PbxUnavailable("the AMI connection is broken")
        self._last_id += 1
        action_id = f"{self._id_prefix}-{self._last_id}"
        data = encode(request, action_id)
        self._waiters[action_id] = waiter
        self._transport.write(data)
        try:
            async with _deadline(request.action, deadline_s):
                return await waiter.answer
        finally:
            del self._waiters[action_id]

    def _dispatch(self, message: Message) -> None:
        waiter = self._waiters.get(message.action_id)
        if message.event:
            if waiter is not None and waiter.on_item is not None and waiter.started:
                self._take_list_event(waiter, waiter.on_item, message)
            elif message.event in self._wanted:
                self.events += 1
                self._on_event(message)
            else:
                self.orphans += 1
        elif waiter is None or waiter.answer.done():
            self.orphans += 1
        else:
            _take_response(waiter, message)

    def _take_list_event(
        self, waiter: _Waiter, on_item: Callable[[Message], None], message: Message
    ) -> None:
        match message.get("EventList").lower():
            case "":
                on_item(message)
            case "complete" if not waiter.answer.done():
                waiter.answer.set_result(message)
            case "cancelled" if not waiter.answer.done():
                waiter.answer.set_exception(PbxRefused("the list was cancelled"))
            case _:
                self.orphans += 1


def _take_response(waiter: _Waiter, message: Message) -> None:
    if message.get("Response") == "Error":
        waiter.answer.set_exception(PbxRefused(message.get("Message")))
    elif waiter.on_item is None:
        waiter.answer.set_result(message)
    else:
        waiter.started = True


def _unavailable(cause: PbxapiError) -> PbxUnavailable:
    return cause if isinstance(cause, PbxUnavailable) else PbxUnavailable(str(cause))


@asynccontextmanager
async def _deadline(what: str, seconds: float) -> AsyncIterator[None]:
    """Like asyncio.timeout, but raises PbxUnavailable and says what did not come."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise PbxUnavailable(f"no answer to {what} in {seconds:g} s") from None


async def connect(
    host: str, port: int, wanted: Iterable[str], on_event: Callable[[Message], None]
) -> AmiSession:
    """Open the TCP connection of a new session.

    Raises:
        OSError: nobody listens there, or the name is unknown.
        PbxUnavailable: no connection within `CONNECT_DEADLINE_S`.
    """
    loop = asyncio.get_running_loop()
    async with _deadline(f"connecting to {host}:{port}", CONNECT_DEADLINE_S):
        _, session = await loop.create_connection(lambda: AmiSession(wanted, on_event), host, port)
    return session
