"""Rows of API users as far as they were read, and how long they may be believed.

* Younger than `REFRESH_S`: as they are.
* Up to `MAX_AGE_S`: as they are, while they are read again in the background.
* Older: read first. So whatever is changed in the database holds after `MAX_AGE_S`.
* While the database is unavailable: users who have once proven themselves stay as they were,
  nobody else can be known.

A row's age counts from the moment its query was sent. Memory is bounded, apart for those who have
proven themselves and for the rest, so that no flood of made-up names can push a real user out.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog

from pbxapi.access.users import Row, StoredUser, read_user
from pbxapi.errors import DatabaseUnavailable

REFRESH_S: Final = 2.0
MAX_AGE_S: Final = 5.0
#: A database that failed a moment ago keeps a known user waiting no longer than this.
IMPATIENCE_S: Final = 0.2
#: Names remembered of each sort; a PBX has dozens of API users.
MAX_NAMES: Final = 1024

_log = structlog.get_logger()


class Queries(Protocol):
    """Runs named statements of the directory."""

    async def fetch(self, name: str, /, *args: object) -> Sequence[Row]:
        """Rows of the statement; raises DatabaseUnavailable."""


@dataclass(frozen=True, slots=True)
class KnownUser:
    """What was read about a name.

    Attributes:
        stored: The row; None where there is none.
        read_at: When its query was sent, in seconds of the clock.
        proof: Digest of the password that was right; None as long as none was.
    """

    stored: StoredUser | None
    read_at: float
    proof: bytes | None = None


class KnownUsers:
    """API users by name.

    Args:
        queries: Where the rows come from.
        clock: Monotonic seconds.
    """

    def __init__(self, queries: Queries, clock: Callable[[], float]) -> None:
        self._queries = queries
        self._clock = clock
        self._proven: OrderedDict[str, KnownUser] = OrderedDict()
        self._others: OrderedDict[str, KnownUser] = OrderedDict()
        self._reads: dict[str, asyncio.Task[KnownUser | DatabaseUnavailable]] = {}
        self._failing = False

    def fresh(self, username: str) -> KnownUser | None:
        """What is known and may be believed now; None where it has to be read first."""
        known = self._recall(username)
        if known is None:
            return None
        age_s = self._clock() - known.read_at
        if age_s < REFRESH_S:
            return known
        if age_s > MAX_AGE_S:
            return None
        self._begin_read(username)
        return known

    async def read(self, username: str) -> KnownUser:
        """What the database says now, or is known from before about a user who is proven.

        Raises:
            DatabaseUnavailable: it cannot be asked, and the user is not proven.
        """
        last = self._proven.get(username)
        self._begin_read(username)
        try:
            # Everyone who asks for this name waits for the same read; one who leaves stops nobody.
            async with asyncio.timeout(IMPATIENCE_S if last and self._failing else None):
                read = await asyncio.shield(self._reads[username])
        except TimeoutError:
            read = DatabaseUnavailable("the database has not answered yet")
        if isinstance(read, KnownUser):
            return read
        if last is None:
            raise DatabaseUnavailable(str(read)) from read
        return last

    def prove(self, username: str, password_hash: str, proof: bytes) -> None:
        """Remember that a password was right, as long as its hash does not change."""
        known = self._recall(username)
        if known and known.stored and known.stored.password_hash == password_hash:
            self._remember(username, replace(known, proof=proof))

    async def close(self) -> None:
        """Give up what is being read."""
        reads = list(self._reads.values())
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)

    def _recall(self, username: str) -> KnownUser | None:
        for users in (self._proven, self._others):
            known = users.get(username)
            if known is not None:
                users.move_to_end(username)
                return known
        return None

    def _remember(self, username: str, known: KnownUser) -> None:
        self._proven.pop(username, None)
        self._others.pop(username, None)
        users = self._others if known.proof is None else self._proven
        users[username] = known
        if len(users) > MAX_NAMES:
            users.popitem(last=False)

    def _begin_read(self, username: str) -> None:
        """Read this name, unless that is under way."""
        if username not in self._reads:
            read = asyncio.create_task(self._read_row(username))
            self._reads[username] = read
            read.add_done_callback(lambda done: self._forget_read(username, done))

    def _forget_read(
        self, username: str, read: "asyncio.Task[KnownUser | DatabaseUnavailable]"
    ) -> None:
        self._reads.pop(username, None)
        if not read.cancelled() and (error := read.exception()) is not None:
            _log.error("access.read_failed", exc_info=error)  # a bug: nobody may be waiting for it

    async def _read_row(self, username: str) -> KnownUser | DatabaseUnavailable:
        sent_at = self._clock()
        try:
            rows = await self._queries.fetch("user_by_name", username)
        except DatabaseUnavailable as error:
            self._failing = True
            return error
        self._failing = False
        stored = read_user(rows[0]) if len(rows) == 1 else None
        known = KnownUser(stored, sent_at, self._still_proven(username, stored))
        self._remember(username, known)
        return known

    def _still_proven(self, username: str, stored: StoredUser | None) -> bytes | None:
        before = self._proven.get(username)
        if before is None or before.stored is None or stored is None:
            return None
        return before.proof if before.stored.password_hash == stored.password_hash else None
