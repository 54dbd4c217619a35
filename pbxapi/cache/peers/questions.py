"""Whom to ask about, and when: a queue that never becomes a burst.

Events about one peer come in handfuls, and the last of them counts; so a question waits a moment,
and is asked once for all of them. What merely fills a picture waits until nothing else does. With
`IN_FLIGHT` questions under way at once and a pause after each, 5,000 peers are asked about within
seconds, and neither Asterisk nor the event loop feels it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final, Generic, TypeVar

#: chan_sip tells of a registration before it has stored the user agent.
SETTLE_S: Final = 0.05
IN_FLIGHT: Final = 4
#: Of each asker after each answer: some 600 questions a second in all.
PAUSE_S: Final = 0.005

_SOON, _LATER = 0, 1

K = TypeVar("K")


class Questions(Generic[K]):
    """Whom to ask about; nobody stands in it twice."""

    def __init__(self) -> None:
        self._queue: asyncio.PriorityQueue[tuple[int, int, K]] = asyncio.PriorityQueue()
        self._order = count()
        self._soon: set[K] = set()
        self._later: set[K] = set()

    def ask(self, key: K) -> None:
        """Something has happened to it: ask in a moment, before all that can wait."""
        if key not in self._soon:
            self._soon.add(key)
            asyncio.get_running_loop().call_later(SETTLE_S, self._put, _SOON, key)

    def ask_later(self, key: K) -> None:
        """Ask when nothing else is to be asked."""
        if key not in self._soon and key not in self._later:
            self._later.add(key)
            self._put(_LATER, key)

    def clear(self) -> None:
        """There is nobody to ask."""
        self._soon.clear()
        self._later.clear()

    async def all_asked(self, within_s: float) -> None:
        """Wait until nothing is left to ask, but not for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._queue.join()

    async def run(self, ask_one: Callable[[K], Awaitable[None]]) -> None:
        """Ask until cancelled; `ask_one` handles its own failures."""
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(self._ask_all(ask_one))

    async def _ask_all(self, ask_one: Callable[[K], Awaitable[None]]) -> None:
        while True:
            priority, _, key = await self._queue.get()
            waiting = self._soon if priority == _SOON else self._later
            if key in waiting:
                waiting.discard(key)
                await ask_one(key)
                await asyncio.sleep(PAUSE_S)
            self._queue.task_done()

    def _put(self, priority: int, key: K) -> None:
        self._queue.put_nowait((priority, next(self._order), key))
