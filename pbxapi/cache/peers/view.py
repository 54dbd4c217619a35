"""The peers as far as the cache may be believed: what actions read."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

from pbxapi.cache.device_state import DeviceState
from pbxapi.cache.peers.peer import NO_PORT, UNKNOWN, UNSPECIFIED, Key, Peer, Technology
from pbxapi.cache.peers.registrations import registration_states
from pbxapi.cache.peers.store import PeerStore

_NOWHERE = Peer((), UNKNOWN, "", "")


class PeerState(NamedTuple):
    """A row of `sipstatus` as far as Asterisk knows it; `registry` is None of one that has none."""

    host: str
    port: str
    status: str
    useragent: str
    regcontact: str
    registry: str | None


class Named(Protocol):
    """Who is asked about."""

    @property
    def technology(self) -> Technology:
        """Of its driver."""

    @property
    def name(self) -> str:
        """Of its peer."""


class PeerList:
    """All peers.

    All methods raise PbxUnavailable where the cache was never filled, or is too old.
    """

    def __init__(self, store: PeerStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock

    def states(self, accounts: Iterable[Key], trunks: Sequence[Key]) -> Iterator[PeerState]:
        """How each account is, and then each trunk, with the state of its own registration."""
        self._require()
        known = {key: peer for key in trunks if (peer := self._store.peer(key)) is not None}
        registries = registration_states(self._store.registrations(), known)
        for key in accounts:
            yield _state(self._store.peer(key) or _NOWHERE, None)
        for key in trunks:
            yield _state(self._store.peer(key) or _NOWHERE, registries.get(key))

    def sources(self, accounts: Iterable[Named], trunks: Iterable[Named]) -> list[object]:
        """What `states` is told from: for the same devices it tells the same if this is equal.

        The parts of the pictures are compared, not counted when they change: nothing can be missed,
        and what was not replaced is the same object.
        """
        self._require()
        sip, pjsip = self._store.sip.peers.get, self._store.pjsip.peers.get
        found: list[object] = [
            sip(each.name) if each.technology == "SIP" else pjsip(each.name)
            for each in chain(accounts, trunks)
        ]
        return found + self._store.registrations()

    def peer(self, technology: Technology, name: str) -> Peer:
        """The peer; one that is nowhere where Asterisk has none of this name."""
        self._require()
        return self._store.peer(Key(technology, name)) or _NOWHERE

    def is_registered(self, technology: Technology, name: str) -> bool:
        """Whether there is anywhere to call the account at."""
        return self.peer(technology, name).is_registered

    def device_state(self, technology: Technology, name: str) -> DeviceState:
        """What the account's device does; INVALID where Asterisk has none of this name."""
        self._require()
        return self._store.device_state(Key(technology, name))

    def _require(self) -> None:
        self._store.freshness.require(self._clock(), "peers")


def _state(peer: Peer, registry: str | None) -> PeerState:
    host, port = UNSPECIFIED, NO_PORT
    if peer.contacts:
        host, port = peer.contacts[0].host, peer.contacts[0].port
    return PeerState(host, port, peer.status, peer.useragent, peer.regcontact, registry)
