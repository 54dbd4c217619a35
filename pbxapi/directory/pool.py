"""The database as a place that answers within a deadline, or says at once that it cannot.

Rules of this file:

* No caller waits longer than `DEADLINE_S` in all, for a free connection, for the connection to be
  made and for the answer. The statement timeout of the server ends a slow statement a little
  earlier, so the connection survives it.
* A connection on which anything but a clean answer happened is thrown away, never reused: not even
  to cancel its statement, since that would wait for the very server that is silent.
* After a failure of the connection itself everyone is refused at once for `DOWN_S`; then the next
  caller tries again. Nothing runs in the background.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import asyncpg
import structlog

from pbxapi.directory.queries import QUERIES
from pbxapi.errors import DatabaseUnavailable

#: Longest wait of one caller (contract, section 4, code 901).
DEADLINE_S: Final = 3.0
#: The server's own limit for one statement, as a share of that: its error still arrives in time.
STATEMENT_SHARE: Final = 5 / 6
#: How long a failed connection speaks for the next one.
DOWN_S: Final = 1.0
#: The host is a PBX: few connections, and the normal request needs none.
POOL_SIZE: Final = 4
#: How long `close` waits for servers to take leave.
CLOSE_TIMEOUT_S: Final = 1.0

# The driver's classes are generic to the type checker alone.
if TYPE_CHECKING:
    _Pool = asyncpg.Pool[asyncpg.Record]
    _Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    _BaseConnection = asyncpg.Connection[asyncpg.Record]
else:
    _BaseConnection = asyncpg.Connection

#: What the driver raises of its own accord.
_DRIVER_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
#: Of these, what ends a connection though it does not yet look closed.
_BROKEN: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleSessionTimeoutError,
)

_log = structlog.get_logger()


class _Session(_BaseConnection):
    """A connection that is not reset between its users: no statement of ours leaves state.

    Without this each use costs a second round trip.
    """

    __slots__ = ()

    def get_reset_query(self) -> str:
        return ""


class _UnreachableError(Exception):
    """There is no sound connection: true for the next caller too."""


class _OverdueError(Exception):
    """The caller's time is up, which says nothing about the next one's."""


class Directory:
    """Runs the named statements of `queries.sql`; connects when first asked.

    It may be made, and asked, while the database is down.

    Args:
        dsn: As libpq understands it.
        size: Most connections at once; who finds none free waits within the same deadline.
        deadline_s: Longest wait of one caller.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        dsn: str,
        *,
        size: int = POOL_SIZE,
        deadline_s: float = DEADLINE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dsn = dsn
        self._size = size
        self._slots = asyncio.Semaphore(size)
        self._deadline_s = deadline_s
        self._statement_timeout_s = deadline_s * STATEMENT_SHARE
        self._clock = clock
        self._pool: _Pool | None = None
        self._closed = False
        self._failed_at = float("-inf")
        self._down_since: float | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections, at once those that are silent; statements under way may fail."""
        self._closed = True
        if self._pool is None:
            return
        with contextlib.suppress(TimeoutError, OSError, *_DRIVER_ERRORS):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.close()

    async def fetch(self, name: str, /, *args: object) -> list[asyncpg.Record]:
        """Rows of the statement called `name`.

        Raises:
            DatabaseUnavailable: it failed, or took too long.
        """
        statement = QUERIES[name]
        if self._closed:
            raise DatabaseUnavailable("the directory is closed")
        if self._clock() - self._failed_at < DOWN_S:
            raise DatabaseUnavailable("the database was not reachable a moment ago")
        try:
            rows = await self._run(statement, args)
        except _UnreachableError as error:
            self._note_failure(str(error))
            raise DatabaseUnavailable(str(error)) from error
        except (_OverdueError, *_DRIVER_ERRORS) as error:
            _log.error("database.statement_failed", statement=name, error=str(error))
            raise DatabaseUnavailable(str(error)) from error
        self._note_success()
        return rows

    async def _run(self, statement: str, args: tuple[object, ...]) -> list[asyncpg.Record]:
        deadline = asyncio.get_running_loop().time() + self._deadline_s
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError:
            raise _OverdueError("all connections were busy for too long") from None
        try:
            pool, connection = await self._connected(deadline)
            try:
                return await self._ask(connection, deadline, statement, args)
            finally:
                await pool.release(connection)
        finally:
            self._slots.release()

    async def _connected(self, deadline: float) -> "tuple[_Pool, _Connection]":
        try:
            async with asyncio.timeout_at(deadline):
                pool = await self._opened()
                return pool, await pool.acquire()
        except TimeoutError:
            raise _UnreachableError("no connection within the time allowed") from None
        except (ValueError, OverflowError):  # the latter of a port that is none
            # The driver could not read the DSN. Its words may quote the password: not repeated.
            raise _UnreachableError("database.dsn cannot be understood") from None
        except (OSError, *_DRIVER_ERRORS) as error:
            raise _UnreachableError(str(error) or type(error).__name__) from error

    async def _opened(self) -> "_Pool":
        """The pool, with no connection in it until one is needed."""
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                self._dsn,
                min_size=0,
                max_size=self._size,
                connection_class=_Session,
                server_settings={
                    "application_name": "pbxapi",
                    # The journal of moves relies on it, whatever the server's default is.
                    "synchronous_commit": "on",
                    "statement_timeout": str(round(self._statement_timeout_s * 1000)),
                },
            )
        return await self._pool

    async def _ask(
        self, connection: "_Connection", deadline: float, statement: str, args: tuple[object, ...]
    ) -> list[asyncpg.Record]:
        asked_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(deadline):
                return await connection.fetch(statement, *args)
        except TimeoutError:
            connection.terminate()
            if deadline - asked_at < self._statement_timeout_s:
                raise _OverdueError("no answer within the time left") from None
            # The server ends a statement before that: so it is the server that is silent.
            raise _UnreachableError("no answer within the time allowed") from None
        except (OSError, *_DRIVER_ERRORS) as error:
            if not isinstance(error, _BROKEN) and not connection.is_closed():
                raise
            connection.terminate()
            raise _UnreachableError(str(error) or type(error).__name__) from error
        except asyncio.CancelledError:
            connection.terminate()
            raise

    def _note_failure(self, text: str) -> None:
        now = self._clock()
        self._failed_at = now
        if self._down_since is None:
            self._down_since = now
            _log.warning("database.unreachable", error=text)
        else:
            _log.debug("database.unreachable", error=text)

    def _note_success(self) -> None:
        self._failed_at = float("-inf")
        if self._down_since is not None:
            gap_s = round(self._clock() - self._down_since, 1)
            self._down_since = None
            _log.info("database.reachable", gap_s=gap_s)
