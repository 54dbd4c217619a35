"""One connection of an HTTP client: aiohttp's, with manners for what is no good request.

Beyond what aiohttp does: request lines may have raw bytes beyond ASCII; a head must come in time,
and an answer be taken in time; requests that are not complete have a limit together; a request that
is not HTTP is one line in the log, and its answer repeats nothing of it, since there may be a
password in it.
"""

import asyncio
from typing import Final, Protocol

import structlog
from aiohttp import web
from aiohttp.http import HttpProcessingError

from pbxapi.web.app import MAX_BODY_BYTES
from pbxapi.web.backlog import Backlog
from pbxapi.web.crowd import Crowd
from pbxapi.web.intake import Intake
from pbxapi.web.repeated import MAX_HEAD_BYTES, may_be_remembered
from pbxapi.web.request_line import RequestLines

#: From the connection, or from the first byte of a further request, to the end of the head: much
#: more than the slowest client needs. Who never sends it would occupy a file descriptor for ever.
HEAD_TIMEOUT_S: Final = 30.0
#: From the moment that an answer waits in memory to that in which its client has taken it: a
#: megabyte at 17 kB/s. Who never reads would occupy that memory for ever.
ANSWER_TIMEOUT_S: Final = 60.0
#: Longer than clients keep a connection for their next request; shorter than for ever.
KEEPALIVE_S: Final = 75.0

_log = structlog.get_logger()


class ShortWay(Protocol):
    """Answers a request that came before, without reading it again."""

    def digest(self, head: bytes, /) -> bytes:
        """What a request is remembered by."""

    def answer(self, digest: bytes, remote: str, /) -> tuple[bytes, bool] | None:
        """The answer, and whether the connection stays open; None if it has to be read."""


class Connection(web.RequestHandler):
    """The protocol of one connection.

    Args:
        server: Of aiohttp.
        crowd: All connections.
        backlog: Those that have not taken their answer yet; its `cut` counts connections that were
            ended: for a `head` that did not come, an `answer` that was not taken, or that others
            needed the room: of answers `crowded`, of requests `greedy`.
        intake: Those whose request is not complete.
        short_way: For requests that come again; without it all are read.

    Attributes:
        digest: What the request under way may be remembered by; None if it may not be.
    """

    __slots__ = (
        "_answer_deadline",
        "_backlog",
        "_crowd",
        "_deadline",
        "_intake",
        "_remote",
        "_request_lines",
        "_short_way",
        "digest",
    )

    def __init__(
        self,
        server: web.Server,
        crowd: Crowd,
        backlog: Backlog,
        intake: Intake,
        short_way: ShortWay | None = None,
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEPALIVE_S,
            access_log=None,  # type: ignore[arg-type]  # off: the password is in the URL
            # A query may be as long as a form.
            max_line_size=MAX_BODY_BYTES,
            # PHP does not unpack bodies either.
            auto_decompress=False,
        )
        self._crowd = crowd
        self._request_lines = RequestLines()
        self._deadline: asyncio.TimerHandle | None = None
        self._answer_deadline: asyncio.TimerHandle | None = None
        self._backlog = backlog
        self._intake = intake
        self._short_way = short_way
        self._remote = ""
        self.digest: bytes | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there: its first request is awaited."""
        super().connection_made(transport)
        self._watch_head(is_awaited=True)
        peer = transport.get_extra_info("peername")
        self._remote = peer[0] if isinstance(peer, tuple) else ""
        self._crowd.enter(self, self._remote)

    @property
    def is_idle(self) -> bool:
        """Whether no request of it is being answered."""
        return self._current_request is None and not self._messages

    def dismiss(self) -> None:
        """Close it at once, without a word."""
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._crowd.spoke(self)
        lines = self._request_lines
        if self._takes_short_way(data):
            return
        super().data_received(lines.feed(data))
        if self.transport is not None:  # it may have been ended
            self._intake.holds(self, lines.unfinished_bytes)
        if self._deadline is not None or lines.owes_head:
            self._watch_head(is_awaited=lines.owes_head)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answer; where it is not known where the next request begins, there is none."""
        if not self._request_lines.is_followed:
            resp.force_close()
        return await super().finish_response(request, resp, start_time)

    def _takes_short_way(self, data: bytes) -> bool:
        """Answer at once what came before; whether that was done."""
        self.digest = None
        if self._short_way is None or len(data) > MAX_HEAD_BYTES or not self._is_at_rest:
            return False
        digest = self._short_way.digest(data)
        answer = self._short_way.answer(digest, self._remote)
        if answer is None or self.transport is None:
            self.digest = digest if may_be_remembered(data) else None
            return False
        self._request_lines.skip_request()
        self._watch_head(is_awaited=False)
        self.transport.write(answer[0])
        self._rest(stays_open=answer[1])
        return True

    # The two that follow are all that is said about the inside of aiohttp's handler: its task waits
    # in `start()` for the future `_waiter`, and a timer ends the connection at
    # `_next_keepalive_close_time` if it still waits then.

    @property
    def _is_at_rest(self) -> bool:
        """Whether nothing of a request is here, and every answer is on its way."""
        waiter = self._waiter
        return (
            waiter is not None
            and not waiter.done()
            and not (self._messages or self._close or self._force_close)
            and not self.writing_paused
            and self._request_lines.is_between
        )

    def _rest(self, *, stays_open: bool) -> None:
        """Do what `start()` does after an answer."""
        if stays_open:
            now = asyncio.get_running_loop().time()
            self._next_keepalive_close_time = now + KEEPALIVE_S
        elif self.transport is not None:
            self.close()
            self.transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is gone."""
        self._crowd.leave(self)
        self._watch_head(is_awaited=False)
        self._answer_is_taken()
        self._intake.holds(self, 0)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """An answer waits in memory: its client reads more slowly than we write."""
        super().pause_writing()
        loop = asyncio.get_running_loop()
        self._answer_deadline = loop.call_later(ANSWER_TIMEOUT_S, self.end, "answer")
        self._backlog.add(self)

    def resume_writing(self) -> None:
        """Nearly all of it is on its way."""
        super().resume_writing()
        self._answer_is_taken()

    @property
    def unsent_bytes(self) -> int:
        """What of its answer still waits in memory."""
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    def _answer_is_taken(self) -> None:
        self._backlog.remove(self)
        if self._answer_deadline is not None:
            self._answer_deadline.cancel()
            self._answer_deadline = None

    def _watch_head(self, *, is_awaited: bool) -> None:
        if not is_awaited and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        elif is_awaited and self._deadline is None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(HEAD_TIMEOUT_S, self.end, "head")

    def end(self, reason: str) -> None:
        """End it for its slowness, and forget what is unsent."""
        self._backlog.cut[reason] += 1
        _log.info("http.cut", reason=reason, total=self._backlog.cut[reason])
        if self.transport is not None:
            self.transport.abort()
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what the parser refused, or what went wrong outside of all handlers."""
        if isinstance(exc, HttpProcessingError):
            _log.info("http.bad_request", client=request.remote, error=type(exc).__name__)
            response: web.StreamResponse = web.Response(status=status, text="Bad Request\n")
            response.force_close()
        else:
            response = super().handle_error(request, status, exc, message)
        response.headers["Server"] = "pbxapi"
        return response
