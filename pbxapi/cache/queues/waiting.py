"""Since when a caller waits, in whole seconds of Asterisk's clock.

app_queue says how long a caller has waited as time(NULL) - start, both whole seconds of its own
clock. So the second in which the waiting began tells the wait at any later moment exactly, but it
is only learnt from the outside: roughly from a join, which arrives some time later, and better from
a list, whose `Wait` was computed between question and answer. What is not certain is kept as a
range with its likeliest second; each list narrows it.
"""

import math
from typing import Final, NamedTuple

#: A QueueCallerJoin comes within milliseconds, but an Asterisk under load may be that late.
JOIN_LAG_S: Final = 30.0
#: How far our idea of Asterisk's clock may lag behind it: half a Ping and a busy moment.
CLOCK_SLACK_S: Final = 0.02


class Began(NamedTuple):
    """Epoch second in which somebody began to wait: between two, and the likeliest of them."""

    earliest: int
    latest: int
    likely: int

    @property
    def certain(self) -> bool:
        """Whether it can be one second only."""
        return self.earliest == self.latest

    def wait_s(self, now: float) -> int:
        """Seconds waited at this instant of Asterisk's clock, as app_queue counts them."""
        return max(0, math.floor(now) - self.likely)


def joined(at: float) -> Began:
    """Told by a QueueCallerJoin that came at this instant of Asterisk's clock."""
    return Began(math.floor(at - JOIN_LAG_S), math.floor(at + CLOCK_SLACK_S), likely=math.floor(at))


def listed(asked: float, arrived: float, wait_s: int) -> Began:
    """Told by the `Wait` of a list that was asked for and began to arrive at these instants."""
    return Began(
        math.floor(asked) - wait_s,
        math.floor(arrived + CLOCK_SLACK_S) - wait_s,
        likely=math.floor((asked + arrived) / 2) - wait_s,
    )


def narrowed(known: Began, told: Began) -> Began:
    """What both agree on; the news alone where they contradict each other."""
    earliest = max(known.earliest, told.earliest)
    latest = min(known.latest, told.latest)
    if earliest > latest:
        return told
    return Began(earliest, latest, likely=min(max(known.likely, earliest), latest))
