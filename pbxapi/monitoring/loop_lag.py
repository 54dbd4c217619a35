"""How late the event loop is: what every request waits before anybody looks at it."""

import asyncio
from typing import Final, NoReturn

from pbxapi.tallies import Durations

BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
#: A hold-up of so long is seen for certain, a shorter one in proportion to its length.
PERIOD_S: Final = 0.25


class LoopLag:
    """Sleeps, and notes by how much it was woken too late.

    Attributes:
        late: By how much, each time.
    """

    def __init__(self, period_s: float = PERIOD_S) -> None:
        self._period_s = period_s
        self.late = Durations(BOUNDS_S)

    async def run(self) -> NoReturn:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._period_s
            await asyncio.sleep(self._period_s)
            self.late.add(max(0.0, loop.time() - due))
