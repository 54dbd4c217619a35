"""What phones do to their registrations by themselves, at random: they come, go, move and lag."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pbxapi.simulator.moments import Moments
from pbxapi.simulator.peers import MAX_ROUND_TRIP_MS

if TYPE_CHECKING:
    from pbxapi.simulator.pbx import Pbx

#: Seconds until a phone that went wrong is well again.
_TROUBLE_S: Final = (3.0, 40.0)
_ROUND_TRIP_MS: Final = (2.0, 120.0)
#: Phones whose round-trip time changes with every other thing that happens.
_DRIFTING: Final = 5


class PeerLife:
    """Lets things happen to phones until it is stopped; most of them are well at any time."""

    def __init__(self, pbx: "Pbx") -> None:
        self._pbx = pbx
        self._random = random.Random(pbx.options.seed + 2)  # noqa: S311 - repeatable on purpose
        self._moments = Moments(pbx, self._random, pbx.options.peer_life, self._happen)
        self._kinds: tuple[tuple[Callable[[str], None], int], ...] = (
            (self._renew, 40),
            (self._leave, 20),
            (self._lag, 15),
            (self._lose, 15),
            (self._move, 10),
        )

    def start(self) -> None:
        """Begin; harmless where nothing is to happen or there is no phone."""
        if self._pbx.devices.phones:
            self._moments.start()

    def stop(self) -> None:
        """Let nothing more happen."""
        self._moments.stop()

    def _happen(self) -> None:
        peers, phones = self._pbx.peers, self._pbx.devices.phones
        for name in self._random.choices(phones, k=_DRIFTING):
            peer = peers.get(name)
            if peer is not None and not peer.lagged:
                peers.set_round_trip(name, self._random.uniform(*_ROUND_TRIP_MS))
        name = self._random.choice(phones)
        if peers.answers(name):
            kinds, shares = zip(*self._kinds, strict=True)
            self._random.choices(kinds, shares)[0](name)

    def _later(self, act: Callable[[], object]) -> None:
        self._pbx.scheduler.later(self._random.uniform(*_TROUBLE_S), lambda: (act(), None)[1])

    def _renew(self, name: str) -> None:
        contact = self._pbx.peers[name].contact
        if contact is not None:
            self._pbx.peers.register(name, contact.host, contact.port)

    def _leave(self, name: str) -> None:
        self._pbx.peers.unregister(name)
        self._later(lambda: self._pbx.peers.register(name))

    def _lag(self, name: str) -> None:
        slow_ms = MAX_ROUND_TRIP_MS * self._random.uniform(1.1, 1.4)
        self._pbx.peers.set_round_trip(name, slow_ms)
        well_ms = self._random.uniform(*_ROUND_TRIP_MS)
        self._later(lambda: self._pbx.peers.set_round_trip(name, well_ms))

    def _lose(self, name: str) -> None:
        self._pbx.peers.lose(name)
        self._later(lambda: self._pbx.peers.find(name))

    def _move(self, name: str) -> None:
        host = f"192.168.{self._random.randrange(256)}.{self._random.randrange(1, 255)}"
        self._pbx.peers.move(name, host)
