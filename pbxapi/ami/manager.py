"""Keeps one AMI session open: connects, logs in, pings, notices a loss, and tries again.

What it never does: send anything twice. A request that was under way when the session was lost
fails with the cause of the loss, and whether to ask again is its caller's decision.
"""

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, NoReturn, Protocol

import structlog

from pbxapi.ami.message import Message
from pbxapi.ami.requests import PING, Request
from pbxapi.ami.session import (
    ANSWER_DEADLINE_S,
    LIST_DEADLINE_S,
    AmiSession,
    ConnectionClosed,
    LoginRefused,
    connect,
)
from pbxapi.errors import PbxapiError, PbxUnavailable

#: A dead peer on a live TCP connection is noticed after this plus the deadline below.
PING_INTERVAL_S: Final = 5.0
PING_DEADLINE_S: Final = 5.0
FIRST_DELAY_S: Final = 0.1
MAX_DELAY_S: Final = 5.0
#: Asterisk that refuses connections, or ends them at once, is restarting: asking costs a local
#: connect() and nothing more, and a list of calls has to be right within 3 s of its boot.
MAX_DELAY_RESTART_S: Final = 1.0
#: A wrong secret stays wrong until somebody mends it, and Asterisk may ban an address that insists.
MAX_DELAY_LOGIN_S: Final = 30.0
#: A session that lived this long had nothing to do with the failures before it.
STABLE_S: Final = 10.0

_log = structlog.get_logger()


class Listener(Protocol):
    """Who is told of sessions and events; called synchronously, in order."""

    @property
    def wanted(self) -> frozenset[str]:
        """Names of the events that it wants."""

    def session_opened(self) -> None:
        """A new session is logged in; nothing is known of what happened before it."""

    def session_lost(self, last_received: float) -> None:
        """The session is gone; its last bytes came at this loop time."""

    def event(self, message: Message) -> None:
        """One event of the session."""


def backoff(first_s: float = FIRST_DELAY_S, max_s: float = MAX_DELAY_S) -> Iterator[float]:
    """Delays before the next attempts, in seconds: doubling, with jitter, never above `max_s`."""
    delay_s = first_s
    while True:
        yield delay_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
        delay_s = min(delay_s * 2, max_s)


def max_delay_s(error: Exception) -> float:
    """How far apart attempts may get after this failure."""
    match error:
        case LoginRefused():
            return MAX_DELAY_LOGIN_S
        case ConnectionRefusedError() | ConnectionClosed():
            return MAX_DELAY_RESTART_S
        case _:
            return MAX_DELAY_S


class Traffic(NamedTuple):
    """What came over the sessions; see `AmiSession`."""

    events: int = 0
    skipped: int = 0
    orphans: int = 0

    def plus(self, session: AmiSession) -> "Traffic":
        """With what came over this session."""
        return Traffic(
            self.events + session.events,
            self.skipped + session.skipped,
            self.orphans + session.orphans,
        )


class AmiManager:
    """The one way to Asterisk: `run` keeps a session, `request` uses it while there is one.

    Attributes:
        connects: Number of sessions that were logged in.
        login_refusals: Number of times that Asterisk did not accept the user or the secret.
        failures: Number of times that a session was lost or could not be had otherwise.
    """

    def __init__(
        self, *, host: str, port: int, username: str, secret: str, listener: Listener
    ) -> None:
        self._host = host
        self._port = port
        self._username = username
        self._secret = secret
        self._listener = listener
        self._session: AmiSession | None = None
        self._clock_offset_s = math.nan
        self._own_clock_offset_s = time.time() - time.monotonic()
        self._past = Traffic()
        self.connects = 0
        self.login_refusals = 0
        self.failures = 0

    @property
    def session(self) -> AmiSession:
        """The session that is logged in now.

        Raises:
            PbxUnavailable: there is none.
        """
        if self._session is None:
            raise PbxUnavailable("no AMI session")
        return self._session

    @property
    def connected(self) -> bool:
        """Whether a session is logged in."""
        return self._session is not None

    @property
    def traffic(self) -> Traffic:
        """What came over all sessions so far."""
        return self._past if self._session is None else self._past.plus(self._session)

    async def request(self, request: Request, deadline_s: float = ANSWER_DEADLINE_S) -> Message:
        """As `AmiSession.request`, on the session of the moment."""
        return await self.session.request(request, deadline_s)

    async def request_list(
        self,
        request: Request,
        on_item: Callable[[Message], None],
        deadline_s: float = LIST_DEADLINE_S,
    ) -> Message:
        """As `AmiSession.request_list`, on the session of the moment."""
        return await self.session.request_list(request, on_item, deadline_s)

    async def run(self) -> NoReturn:
        """Keep a session open until cancelled."""
        delays = backoff()
        last_max_s = MAX_DELAY_S
        failures = 0
        while True:
            started = asyncio.get_running_loop().time()
            try:
                await self._run_session()
            except (PbxapiError, OSError) as error:
                failure = error
            lived_s = asyncio.get_running_loop().time() - started
            if lived_s >= STABLE_S or max_delay_s(failure) != last_max_s:
                last_max_s = max_delay_s(failure)
                delays = backoff(max_s=last_max_s)
                failures = 0
            delay_s = next(delays)
            self._report(failure, delay_s, failures)
            failures += 1
            await asyncio.sleep(delay_s)

    async def _run_session(self) -> NoReturn:
        """One session from connect to loss.

        Raises:
            PbxapiError, OSError: always, the reason why it ended or never was.
        """
        session = await connect(self._host, self._port, self._listener.wanted, self._listener.event)
        try:
            await session.log_in(self._username, self._secret)
            self._session = session
            self.connects += 1
            _log.info("ami.connected", host=self._host, port=self._port, banner=session.banner)
            self._listener.session_opened()
            await self._ping_until_lost(session)
        except PbxapiError as error:
            session.close(error)  # whoever waits hears this cause
            raise
        finally:
            session.close(PbxUnavailable("the AMI session was closed"))
            if self._session is session:
                self._past = self.traffic
                self._session = None
                self._listener.session_lost(session.last_received)

    async def _ping_until_lost(self, session: AmiSession) -> NoReturn:
        """Prove every few seconds that Asterisk answers: events that come prove nothing of that.

        Raises:
            PbxapiError: always, the cause of the loss.
        """
        while True:
            self._learn_clock(await session.request(PING, PING_DEADLINE_S))
            await asyncio.wait({session.lost}, timeout=PING_INTERVAL_S)
            if session.lost.done():
                raise session.lost.result()

    def _learn_clock(self, pong: Message) -> None:
        with contextlib.suppress(ValueError):
            self._clock_offset_s = float(pong.get("Timestamp")) - time.monotonic()

    def told_time(self) -> float:
        """Seconds since the epoch by the clock of Asterisk's host, known from its last pong.

        Not a number, which compares with nothing, until there was one.
        """
        return time.monotonic() + self._clock_offset_s

    def asterisk_time(self) -> float:
        """The same, and our own wall clock until the first pong: it may be set at any moment."""
        told = self.told_time()
        return time.monotonic() + self._own_clock_offset_s if math.isnan(told) else told

    def _report(self, failure: Exception, delay_s: float, failures: int) -> None:
        """Say it loudly where somebody has to act, once where it passes by itself."""
        facts = {
            "host": self._host,
            "port": self._port,
            "error": str(failure) or type(failure).__name__,
            "delay_s": round(delay_s, 2),
        }
        if isinstance(failure, LoginRefused):
            self.login_refusals += 1
            _log.error("ami.login_refused", username=self._username, **facts)
            return
        self.failures += 1
        level = _log.debug if failures else _log.warning
        level("ami.unavailable", **facts)
