"""What goes wrong: every few seconds one of these, for some seconds, sometimes two at once."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tests.endurance import jumping_clock
from tests.endurance.verdict import DAEMON, Book
from tests.endurance.world import World

#: Seconds between two faults of one stream.
PAUSE_S: Final = (2.0, 6.0)
#: How far the wall clock jumps, in seconds, forward and back.
_JUMPS_S: Final = (-86400.0, -3600.0, -90.0, -7.0, 7.0, 90.0, 3600.0, 86400.0)
#: Longer than a pong may take (5 s), and shorter.
_STALL_S: Final = (0.5, 14.0)


#: What it is done to, and how.
Fault = tuple[str, Callable[["Faults"], Awaitable[None]]]


class Faults:
    """Does things to the world until it is told to stop; then all is as it was.

    Args:
        world: What they are done to.
        book: Where it is written down.
        seed: Of what is done when.
        kill: Whether the daemon itself is killed too.
    """

    def __init__(self, world: World, book: Book, seed: int, *, kill: bool) -> None:
        self._world = world
        self._book = book
        self._random = random.Random(seed + 1)
        self._stopping = asyncio.Event()
        self._streams = [FAULTS, FAULTS, DEADLY] if kill else [FAULTS, FAULTS]
        #: One fault of a kind at a time, by what it is done to.
        self._turns = {what: asyncio.Lock() for what in ("asterisk", "database", "disk", "clock")}

    async def run(self) -> None:
        """Two streams of faults, so that they meet now and then, and one of deaths if need be."""
        async with asyncio.TaskGroup() as group:
            for kinds in self._streams:
                group.create_task(self._stream(kinds))

    def stop(self) -> None:
        """Begin no more faults; those that are on are ended in their time."""
        self._stopping.set()

    async def _stream(self, kinds: Mapping[str, Fault]) -> None:
        while not self._stopping.is_set():
            await asyncio.sleep(self._random.uniform(*PAUSE_S))
            name = self._random.choice(sorted(kinds))
            what, fault = kinds[name]
            if name == "disk full" and not self._world.recordings.can_be_full:
                continue
            async with self._turns[what]:
                self._book.faults[name] += 1
                window = self._book.begin(what)
                try:
                    async with asyncio.timeout(60):
                        await fault(self)
                finally:
                    window.ended = asyncio.get_running_loop().time()

    def _seconds(self, least: float, most: float) -> float:
        return self._random.uniform(least, most)

    async def ami_cut(self) -> None:
        await self._world.proxy.cut(reset=self._random.random() < 0.5)

    async def ami_cut_in_a_message(self) -> None:
        self._world.proxy.cut_after(self._random.randrange(1, 20_000))
        await asyncio.sleep(2)
        self._world.proxy.resume()

    async def ami_stalled(self) -> None:
        ways = self._random.choice((("to_server",), ("to_client",), ("to_server", "to_client")))
        self._world.proxy.stall(*ways)
        await asyncio.sleep(self._seconds(*_STALL_S))
        self._world.proxy.resume()

    async def ami_dribbled(self) -> None:
        self._world.proxy.dribble(self._random.randrange(20, 600), 0.01)
        await asyncio.sleep(self._seconds(2, 8))
        self._world.proxy.resume()

    async def asterisk_restarted(self) -> None:
        await self._world.pbx.do("restart", down_for_s=self._seconds(0.1, 4), graceful=True)

    async def asterisk_killed(self) -> None:
        await self._world.pbx.do("restart", down_for_s=self._seconds(0.1, 4), graceful=False)

    async def database_stopped(self) -> None:
        await self._without_database(self._world.server.stop)

    async def database_killed(self) -> None:
        await self._without_database(self._world.server.kill)

    async def _without_database(self, end: Callable[[], None]) -> None:
        await asyncio.to_thread(end)
        await asyncio.sleep(self._seconds(0.1, 8))
        await asyncio.to_thread(self._world.server.start)

    async def disk_full(self) -> None:
        await asyncio.to_thread(self._world.recordings.fill)
        await asyncio.sleep(self._seconds(1, 8))
        self._world.recordings.unfill()

    async def clock_jumped(self) -> None:
        jumping_clock.set_clock(self._world.clock, self._random.choice(_JUMPS_S))
        await asyncio.sleep(self._seconds(0.5, 12))
        if self._random.random() < 0.5:
            jumping_clock.set_clock(self._world.clock, 0.0)

    async def daemon_killed(self) -> None:
        await asyncio.sleep(self._seconds(0, 15))
        window = self._book.begin(DAEMON)
        await self._world.daemon.stop(signal.SIGKILL)
        await asyncio.sleep(self._seconds(0.1, 2))
        await self._world.daemon.start()
        window.ended = asyncio.get_running_loop().time()

    async def hangup_signal(self) -> None:
        self._world.daemon.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.5)


FAULTS: Final[Mapping[str, Fault]] = {
    "AMI cut": ("asterisk", Faults.ami_cut),
    "AMI cut in a message": ("asterisk", Faults.ami_cut_in_a_message),
    "AMI stalled": ("asterisk", Faults.ami_stalled),
    "AMI dribbled": ("asterisk", Faults.ami_dribbled),
    "Asterisk restarted": ("asterisk", Faults.asterisk_restarted),
    "Asterisk killed": ("asterisk", Faults.asterisk_killed),
    "PostgreSQL stopped": ("database", Faults.database_stopped),
    "PostgreSQL killed": ("database", Faults.database_killed),
    "disk full": ("disk", Faults.disk_full),
    "clock jumped": ("clock", Faults.clock_jumped),
    "SIGHUP": ("clock", Faults.hangup_signal),
}
#: Takes turns with what sends a signal, which needs somebody who hears it.
DEADLY: Final[Mapping[str, Fault]] = {"daemon killed": ("clock", Faults.daemon_killed)}
