"""One keep-alive connection that sends a request and checks its answer.

It is its own few lines of HTTP/1.1: a client library takes longer for a request than the daemon
for its answer, and the figures would be those of the generator (docs/benchmarks.md). It takes what
the daemon and the usual proxies before it send: answers with a `Content-Length`.
"""

import asyncio
import errno
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from pbxapi.load.answers import failure_in
from pbxapi.load.tally import TIMEOUT
from pbxapi.load.target import Target

#: A head beyond this is none of the daemon's.
_MAX_HEAD_BYTES: Final = 64 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,12})[ \t]*\r\n", re.IGNORECASE)
_CLOSE: Final = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What has come of a request.

    Attributes:
        failure: The kind of failure, "" for a success.
        body: What came; b"" where nothing did.
        is_connected: Whether there was a connection to send it on.
    """

    failure: str
    body: bytes = b""
    is_connected: bool = True


class NotHttp(Exception):
    """The other side sent what is no answer of HTTP, or one without a length."""


class _Exchange(asyncio.Protocol):
    """The connection itself; one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._size = 0
        self._head = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            if self._size or self._take_head():
                self._take_answer()
        except NotHttp as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("the connection was closed"))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """End it now."""
        self.is_open = False
        self._transport.abort()

    def _take_head(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > _MAX_HEAD_BYTES:
                raise NotHttp
            return False
        self._head = bytes(self._received[: end + 2])
        length = _LENGTH.search(self._head)
        if length is None or self._answer is None:
            raise NotHttp
        self._size = end + 4 + int(length[1])
        return True

    def _take_answer(self) -> None:
        if len(self._received) < self._size:
            return
        status = _STATUS.match(self._head)
        if status is None or len(self._received) > self._size:
            raise NotHttp
        body = bytes(self._received[len(self._head) + 2 :])
        self._received.clear()
        self._size = 0
        answer, self._answer = self._answer, None
        if _CLOSE.search(self._head):
            self.close()
        if answer is not None and not answer.done():
            answer.set_result((int(status[1]), body))

    def _fail(self, error: Exception) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class Connection:
    """A client of the daemon: connects when it has to, and never sends anything twice.

    Args:
        target: The daemon.
        timeout_s: From the request to the end of its answer, connecting included.
    """

    def __init__(self, target: Target, timeout_s: float) -> None:
        self._target = target
        self._tls = target.tls()
        self._timeout_s = timeout_s
        self._exchange: _Exchange | None = None

    async def ask(self, request: bytes) -> Answer:
        """Send a request; whatever happens, there is an answer or a kind of failure."""
        exchange = None
        try:
            async with asyncio.timeout(self._timeout_s):
                exchange = await self._connected()
                status, body = await exchange.ask(request)
        except (OSError, NotHttp) as error:  # a TimeoutError is an OSError
            self.close()
            return Answer(_kind_of(error), is_connected=exchange is not None)
        return Answer(failure_in(status, body), body)

    def close(self) -> None:
        """End the connection; a late answer must not be taken for that of the next request."""
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None

    async def _connected(self) -> _Exchange:
        if self._exchange is not None and self._exchange.is_open:
            return self._exchange
        loop = asyncio.get_running_loop()
        make: Callable[[], _Exchange] = _Exchange
        target = self._target
        if target.socket:
            _, self._exchange = await loop.create_unix_connection(make, target.socket)
        else:
            _, self._exchange = await loop.create_connection(
                make, target.host, target.port, ssl=self._tls
            )
        return self._exchange


def _kind_of(error: Exception) -> str:
    """A few words, the same for the same cause: failures are counted by them."""
    match error:
        case NotHttp():
            return "not http"
        case TimeoutError():
            return TIMEOUT
        case ConnectionRefusedError() | FileNotFoundError():
            return "refused"
        case ConnectionResetError() | BrokenPipeError():
            return "closed"
        case OSError(errno=int(number)) if number in errno.errorcode:
            return errno.errorcode[number]
    return type(error).__name__
