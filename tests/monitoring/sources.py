"""Sources of numbers, as the daemon has them, without anybody behind them."""

import time
from collections import Counter
from pathlib import Path

from pbxapi.access.lockout import Lockout
from pbxapi.actions import ACTIONS
from pbxapi.agi.cards import CallCards
from pbxapi.agi.tally import CallTally
from pbxapi.ami.manager import AmiManager
from pbxapi.cache.channels.follow import ChannelFollower
from pbxapi.cache.channels.store import ChannelStore
from pbxapi.cache.followers import Followers
from pbxapi.cache.freshness import Freshness
from pbxapi.monitoring.loop_lag import LoopLag
from pbxapi.monitoring.sources import Picture, Sources
from pbxapi.recordings.moves import RecordMoves
from pbxapi.web.tally import RequestTally


class NoQueries:
    """A database that nobody asks."""

    async def fetch(self, name: str, /, *args: object) -> list[dict[str, object]]:
        raise AssertionError(name, args)


def make_sources() -> Sources:
    """As before anything has happened, but with each kind of thing counted once."""
    channels = ChannelStore()
    listener = Followers(ChannelFollower(channels, time.time))
    manager = AmiManager(host="x", port=1, username="x", secret="x", listener=listener)
    sources = Sources(
        requests=RequestTally(ACTIONS),
        lockout=Lockout(10, 60, time.monotonic),
        manager=manager,
        events=listener.counts,
        pictures={
            name: Picture(
                freshness=Freshness(),
                size=lambda: 3,
                lists=lambda: 2,
                repaired=lambda: 1,
            )
            for name in ("channels", "queues", "peers")
        },
        agi=CallTally(
            is_listening=True,
            served=Counter({("cdr", "served"): 1}),
            refused=Counter({"card": 1}),
        ),
        cards=CallCards(time.monotonic),
        recordings=RecordMoves(NoQueries(), (Path("/nowhere"),), lambda _ids: False),
        loop_lag=LoopLag(),
    )
    sources.requests.finished("listcalls", 0, 0.001)
    return sources
