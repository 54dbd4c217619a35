"""Where the numbers are: each lives as a plain value in the object that it is about."""

from collections.abc import Callable
from dataclasses import dataclass

from pbxapi.access.lockout import Lockout
from pbxapi.agi.cards import CallCards
from pbxapi.agi.tally import CallTally
from pbxapi.ami.manager import AmiManager
from pbxapi.cache.freshness import Freshness
from pbxapi.monitoring.loop_lag import LoopLag
from pbxapi.recordings.moves import RecordMoves
from pbxapi.web.tally import RequestTally


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One kind of thing of the PBX, of which there is a picture in memory.

    Attributes:
        size: How many there are.
        lists: How often all of them were listed.
        repaired: How many differences the lists have found; None where nobody compares.
    """

    freshness: Freshness
    size: Callable[[], int]
    lists: Callable[[], int]
    repaired: Callable[[], int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is looked at when somebody asks.

    Attributes:
        events: Name → how many events of AMI there were.
        pictures: The caches by name.
    """

    requests: RequestTally
    lockout: Lockout
    manager: AmiManager
    events: dict[str, int]
    pictures: dict[str, Picture]
    agi: CallTally
    cards: CallCards
    recordings: RecordMoves
    loop_lag: LoopLag
