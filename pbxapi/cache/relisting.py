"""When to list again: at a new session, when Asterisk says so, and now and then.

In between events alone keep the picture. Lists answer what events may have missed.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

#: FullyBooted follows the login at once, and a reload of everything is one event a module: wait for
#: the others, so that one list answers them all.
SETTLE_S: Final = 0.05
#: Between two lists when nothing happened, 10 % more or less, so that many daemons do not ask one
#: PBX at the same time for ever.
RECONCILE_S: Final = 60.0
#: A list that failed on a living session is asked for again after this.
RETRY_S: Final = 2.0

#: Events that say that Asterisk may have changed behind the events' back.
RELIST_EVENTS: Final = frozenset({"FullyBooted", "Reload"})


class Relisting:
    """The rhythm of one follower's lists."""

    def __init__(self, period_s: Callable[[], float] = lambda: RECONCILE_S) -> None:
        """Tell how long to leave the picture to events: asked anew before each wait."""
        self._period_s = period_s
        self._due = asyncio.Event()
        self._connected = False

    def session_opened(self) -> None:
        """A new session: whatever happened in the gap, a list tells."""
        self._connected = True
        self._due.set()

    def session_lost(self) -> None:
        """There is nobody to ask."""
        self._connected = False

    def ask(self) -> None:
        """List soon."""
        self._due.set()

    async def run(self, list_all: Callable[[], Awaitable[bool]]) -> NoReturn:
        """Call `list_all` whenever it is due, until cancelled; it tells whether it succeeded."""
        delay_s = self._period_s()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._due.wait()
            if self._due.is_set():
                await asyncio.sleep(SETTLE_S)
            self._due.clear()
            if self._connected and not await list_all():
                delay_s = RETRY_S  # or sooner: a new session does not wait for it
            else:
                delay_s = self._period_s() * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load
