"""Rows of those who have a secret (API users, agents), and how long they may be believed.

* Younger than `Ages.refresh_s`: as they are.
* Up to `Ages.max_s`: as they are, while they are read again in the background.
* Older: read first. So whatever is changed in the database holds after `Ages.max_s`.
* While the database is unavailable: those who have once proven themselves stay as they were,
  nobody else can be known. So it is, too, where it has not answered for `PATIENCE_S`: a list that
  is made from memory does not wait for a server that hangs. What it answers later holds then.

A row's age counts from the moment its query was sent. Memory is bounded, apart for those who have
proven themselves and for the rest, so that no flood of made-up names can push a real user out.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import structlog

from pbxapi.errors import DatabaseUnavailable

#: From the begin of a read, whoever began it, a known user waits no longer than this; …
PATIENCE_S: Final = 0.5
#: … and where the database failed a moment ago no longer than this.
IMPATIENCE_S: Final = 0.2
#: Names remembered of each sort; a PBX has dozens of API users.
MAX_NAMES: Final = 1024

_log = structlog.get_logger()


class HasSecret(Protocol):
    """What a row has to have."""

    @property
    def password_hash(self) -> str:
        """argon2id PHC string of the secret."""


S = TypeVar("S", bound=HasSecret)


class Ages(NamedTuple):
    """How old a row may get, in seconds; see above."""

    refresh_s: float = 2.0
    max_s: float = 5.0


AGES: Final = Ages()


@dataclass(frozen=True, slots=True)
class Known(Generic[S]):
    """What was read about a name.

    Attributes:
        stored: The row; None where there is none.
        read_at: When its query was sent, in seconds of the clock.
        proof: Digest of the secret that was right; None as long as none was.
    """

    stored: S | None
    read_at: float
    proof: bytes | None = None


class _Read(NamedTuple, Generic[S]):
    """A read under way, and the loop time at which it was begun."""

    task: "asyncio.Task[Known[S] | DatabaseUnavailable]"
    begun_at: float


class KnownRows(Generic[S]):
    """Rows by name.

    Args:
        read_row: Asks the directory; raises DatabaseUnavailable.
        clock: Monotonic seconds.
        ages: How long a row is believed.
        max_names: Names remembered of each sort, proven or not; `MAX_NAMES` where nothing is said.
    """

    def __init__(
        self,
        read_row: Callable[[str], Awaitable[S | None]],
        clock: Callable[[], float],
        *,
        ages: Ages = AGES,
        max_names: int | None = None,
    ) -> None:
        self._read_row = read_row
        self._clock = clock
        self._ages = ages
        self._max_names = max_names
        self._proven: OrderedDict[str, Known[S]] = OrderedDict()
        self._others: OrderedDict[str, Known[S]] = OrderedDict()
        self._reads: dict[str, _Read[S]] = {}
        self._tasks: set[asyncio.Task[Known[S] | DatabaseUnavailable]] = set()
        self._failing = False
        #: What was read before is not believed unread.
        self._void_before = -math.inf

    def fresh(self, name: str) -> Known[S] | None:
        """What is known and may be believed now; None where it has to be read first."""
        known = self._recall(name)
        if known is None or known.read_at <= self._void_before:
            return None
        age_s = self._clock() - known.read_at
        if age_s < self._ages.refresh_s:
            return known
        if age_s > self._ages.max_s:
            return None
        self._begin_read(name)
        return known

    async def read(self, name: str) -> Known[S]:
        """What the database says now, or is known from before about somebody who is proven.

        Raises:
            DatabaseUnavailable: it cannot be asked, and nobody of this name is proven.
        """
        last = self._proven.get(name)
        self._begin_read(name)
        task, begun_at = self._reads[name]
        patience_s = self._patience_s(last)
        try:
            # Everyone who asks for this name waits for the same read; one who leaves stops nobody.
            async with asyncio.timeout_at(None if patience_s is None else begun_at + patience_s):
                read = await asyncio.shield(task)
        except TimeoutError:
            read = DatabaseUnavailable("the database has not answered yet")
        if isinstance(read, Known):
            return read
        if last is None:
            raise DatabaseUnavailable(str(read)) from read
        return last

    def _patience_s(self, last: Known[S] | None) -> float | None:
        """How long a read is waited for; None is as long as it takes."""
        if last is None:
            return None
        if self._failing:
            return IMPATIENCE_S
        # Somebody has said that it is out of date: then it is not believed for being known.
        return None if last.read_at <= self._void_before else PATIENCE_S

    def prove(self, name: str, password_hash: str, proof: bytes) -> None:
        """Remember that a password was right, as long as its hash does not change."""
        known = self._recall(name)
        if known and known.stored and known.stored.password_hash == password_hash:
            self._remember(name, replace(known, proof=proof))

    def changed(self, name: str) -> None:
        """What is known is out of date: the row was changed just now. Its secret was not."""
        known = self._recall(name)
        if known is not None:
            self._remember(name, replace(known, read_at=-math.inf))
        self._reads.pop(name, None)  # who waits for this read asked before the change

    def all_changed(self) -> None:
        """Any row may be out of date: each is read before it is believed again."""
        self._void_before = self._clock()
        self._reads.clear()  # as in `changed`

    async def close(self) -> None:
        """Give up what is being read."""
        reads = list(self._tasks)
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)

    def _recall(self, name: str) -> Known[S] | None:
        for users in (self._proven, self._others):
            known = users.get(name)
            if known is not None:
                users.move_to_end(name)
                return known
        return None

    def _remember(self, name: str, known: Known[S]) -> None:
        self._proven.pop(name, None)
        self._others.pop(name, None)
        users = self._others if known.proof is None else self._proven
        users[name] = known
        if len(users) > (self._max_names or MAX_NAMES):
            users.popitem(last=False)

    def _begin_read(self, name: str) -> None:
        """Read this name, unless that is under way."""
        if name not in self._reads:
            read = asyncio.create_task(self._read(name))
            self._reads[name] = _Read(read, asyncio.get_running_loop().time())
            self._tasks.add(read)
            read.add_done_callback(lambda done: self._forget_read(name, done))

    def _forget_read(self, name: str, read: "asyncio.Task[Known[S] | DatabaseUnavailable]") -> None:
        self._tasks.discard(read)
        if self._is_awaited(name, read):
            del self._reads[name]
        if not read.cancelled() and (error := read.exception()) is not None:
            _log.error("access.read_failed", exc_info=error)  # a bug: nobody may be waiting for it

    async def _read(self, name: str) -> Known[S] | DatabaseUnavailable:
        sent_at = self._clock()
        try:
            stored = await self._read_row(name)
        except DatabaseUnavailable as error:
            self._failing = True
            return error
        self._failing = False
        known = Known(stored, sent_at, self._still_proven(name, stored))
        if self._is_awaited(name, asyncio.current_task()):
            self._remember(name, known)
        return known

    def _is_awaited(self, name: str, task: asyncio.Task[Any] | None) -> bool:
        """Whether this is still the read of this name, and not one from before a change."""
        read = self._reads.get(name)
        return read is not None and read.task is task

    def _still_proven(self, name: str, stored: S | None) -> bytes | None:
        before = self._proven.get(name)
        if before is None or before.stored is None or stored is None:
            return None
        return before.proof if before.stored.password_hash == stored.password_hash else None
