"""When each request is to begin.

At a fixed rate the moments stand before the run begins, and latency is counted from them: a server
that stands still for a second makes a hundred requests late, not one, as its clients would see it.
(Whoever waits for an answer before he asks again does not ask while the server stands still, and
his percentiles do not have what was left out: coordinated omission.)
"""

import math
from dataclasses import dataclass
from typing import Final

#: What the sums of moments may be off by, in requests.
_ROUNDING: Final = 1e-6


@dataclass(slots=True)
class Pace:
    """The moments of one run, handed out to whichever client is free.

    Attributes:
        rate: Requests a second; None = each client asks as soon as it has its answer.
        began: When the run began, on the clock of all moments.
        ends: When the last request may begin.
        given: How many moments were handed out.
    """

    rate: float | None
    began: float
    ends: float
    given: int = 0

    def next(self, now: float) -> float | None:
        """When the next request is to begin, perhaps in the past; None: no more of them."""
        moment = now if self.rate is None else self.began + self.given / self.rate
        if now >= self.ends or moment >= self.ends:
            return None
        self.given += 1
        return moment

    def left_out(self, now: float) -> int:
        """Requests that were due by now and never begun, since no client was free."""
        if self.rate is None:
            return 0
        due = math.ceil((min(now, self.ends) - self.began) * self.rate - _ROUNDING)
        return max(0, due - self.given)
