"""Random moments at which something happens, so many a second on average."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from pbxapi.simulator.clock import Timer

if TYPE_CHECKING:
    from pbxapi.simulator.pbx import Pbx


class Moments:
    """Calls `act` at moments that have nothing to do with each other, until it is stopped.

    Args:
        pbx: Whose time it is.
        chance: Where the moments are drawn from.
        rate: How many a second, on average; 0 for none.
        act: What happens.
    """

    def __init__(
        self, pbx: "Pbx", chance: random.Random, rate: float, act: Callable[[], None]
    ) -> None:
        self._pbx = pbx
        self._random = chance
        self._rate = rate
        self._act = act
        self._timer: Timer | None = None

    def start(self) -> None:
        """Wait for the first one."""
        if self._rate > 0:
            pause_s = self._random.expovariate(self._rate)
            self._timer = self._pbx.scheduler.later(pause_s, self._happen)

    def stop(self) -> None:
        """No more of them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _happen(self) -> None:
        self._act()
        self.start()
