"""One at a time: whoever changes an agent waits until the one before him is done."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary


class Turns:
    """A lock for each agent, by id."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, agents: Iterable[int]) -> AsyncIterator[None]:
        """Have the turn of all these agents at once."""
        # In the same order everywhere, so that two who need two of them do not wait for each other.
        locks = [self._locks.setdefault(number, asyncio.Lock()) for number in sorted(set(agents))]
        async with AsyncExitStack() as stack:
            for lock in locks:
                await stack.enter_async_context(lock)
            yield
