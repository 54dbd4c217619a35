"""Whether the database answers: asked at most once a second, whoever wants to know."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from pbxapi.errors import DatabaseUnavailable

#: `/-/ready` is open to everybody: what it asks of the database is bounded by this, in seconds.
BELIEVED_S: Final = 1.0


class Queries(Protocol):
    """Runs named statements of the directory."""

    async def fetch(self, name: str, /, *args: object) -> Sequence[Any]:
        """Rows of the statement; raises DatabaseUnavailable."""


class DatabaseProbe:
    """Asks the database, and remembers for a moment what it learnt.

    Args:
        queries: The directory.
        clock: Monotonic seconds.
    """

    def __init__(self, queries: Queries, clock: Callable[[], float]) -> None:
        self._queries = queries
        self._clock = clock
        self._asking = asyncio.Lock()
        self._asked_at = -math.inf
        self._is_up = False

    async def is_up(self) -> bool:
        """Whether it answers; within the deadline of the directory."""
        async with self._asking:
            if self._clock() - self._asked_at >= BELIEVED_S:
                self._is_up = await self._ask()
                self._asked_at = self._clock()
            return self._is_up

    async def _ask(self) -> bool:
        try:
            await self._queries.fetch("alive")
        except DatabaseUnavailable:
            return False
        return True
