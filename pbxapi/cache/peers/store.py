"""The peers of both drivers as far as we know them, and how far that is.

Promises to readers:
* `peer` and `registrations` are what one moment looked like; every change replaces whole values.
* `freshness` tells how far they may be believed.
* One writer: the follower (follow.py).

A driver that Asterisk does not have has an empty picture: with both, the accounts that belong to
neither are simply not known to Asterisk. Lists are collected beside the pictures and take their
place when all of them are complete.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from pbxapi.ami.message import Fields
from pbxapi.cache import device_state
from pbxapi.cache.device_state import DeviceState
from pbxapi.cache.freshness import Freshness
from pbxapi.cache.peers.chan_sip import SipPicture
from pbxapi.cache.peers.peer import Key, Peer, Registration, Technology
from pbxapi.cache.peers.pjsip import PjsipPicture

#: Devices of other drivers are nobody's account.
DEVICE_PREFIXES: Final = ("SIP/", "PJSIP/")


@dataclass(slots=True)
class Listed:
    """The lists of one moment, being collected."""

    sip: SipPicture = field(default_factory=SipPicture)
    pjsip: PjsipPicture = field(default_factory=PjsipPicture)
    devices: dict[str, DeviceState] = field(default_factory=dict)
    touched: set[Key] = field(default_factory=set)

    def take_device(self, device: str, state: str) -> None:
        """One DeviceStateChange of a list, or one that came meanwhile."""
        if device.startswith(DEVICE_PREFIXES):
            self.devices[device] = device_state.from_name(state)


@dataclass(slots=True)
class PeerStore:
    """Key → peer, kept from events, lists and answers about single peers.

    Attributes:
        freshness: How far the peers may be believed.
    """

    sip: SipPicture = field(default_factory=SipPicture)
    pjsip: PjsipPicture = field(default_factory=PjsipPicture)
    freshness: Freshness = field(default_factory=Freshness)
    _devices: dict[str, DeviceState] = field(default_factory=dict)
    _collecting: list[Listed] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.sip.peers) + len(self.pjsip.peers)

    def peer(self, key: Key) -> Peer | None:
        """The peer; None where Asterisk has none of this name."""
        return self._picture(key.technology).peers.get(key.name)

    def registrations(self) -> list[Registration]:
        """Outbound registrations of both drivers."""
        return [*self.sip.registrations, *self.pjsip.registrations]

    def device_state(self, key: Key) -> DeviceState:
        """What the device does; INVALID where Asterisk has none of this name.

        Asterisk lists a device only once its state has changed or was asked for; until then it does
        nothing but be there or not.
        """
        peer = self.peer(key)
        known = self._devices.get(key.device)
        if known is None and key.technology == "PJSIP":
            known = self.pjsip.device_states.get(key.name)
        if known is not None and known is not DeviceState.UNKNOWN:
            return known
        if peer is None:
            return DeviceState.INVALID
        return DeviceState.NOT_INUSE if peer.answers else DeviceState.UNAVAILABLE

    # -- the writer

    def peer_status(self, fields: Fields) -> Key | None:
        """A PeerStatus event; whom to ask about."""
        match fields.get("ChannelType"):
            case "SIP":
                return self._touch("SIP", self.sip.apply(fields))
            case "PJSIP":  # says nothing that ContactStatus does not say of each contact
                return self._touch("PJSIP", fields.get("Peer", "").partition("/")[2])
            case _:
                return None

    def contact_status(self, fields: Fields) -> Key | None:
        """A ContactStatus event; whom to ask about."""
        return self._touch("PJSIP", self.pjsip.apply(fields))

    def device_state_change(self, device: str, state: str) -> None:
        """A DeviceStateChange event."""
        if device.startswith(DEVICE_PREFIXES):
            self._devices[device] = device_state.from_name(state)
            for listed in self._collecting:
                listed.take_device(device, state)

    def answered(self, key: Key) -> None:
        """A single peer was asked about: a list that is under way may be older than its answer."""
        self._touch(key.technology, key.name)

    def forget(self, key: Key) -> None:
        """Asterisk has said that it does not have this peer."""
        self._picture(key.technology).forget(key.name)

    def registered(self, listed: Listed) -> None:
        """The outbound registrations were listed by themselves."""
        self.sip.registrations = listed.sip.registrations
        self.pjsip.registrations = listed.pjsip.registrations

    def begin_list(self) -> Listed:
        """Start to collect; to be ended by `replace` or `abandon`."""
        listed = Listed()
        self._collecting.append(listed)
        return listed

    def abandon(self, listed: Listed) -> None:
        """Forget lists that did not become complete."""
        if listed in self._collecting:
            self._collecting.remove(listed)

    def prepare(self, listed: Listed) -> Iterator[None]:
        """The lists are complete: fill them in, as often as others have gone on in between."""
        yield from listed.sip.prepare(self.sip)
        yield from listed.pjsip.prepare(self.pjsip)

    def replace(self, listed: Listed) -> set[Key]:
        """The lists are complete and prepared: they are the picture now.

        Returns whom events told of meanwhile.

        Lists whose session was lost before their end change nothing.
        """
        if listed not in self._collecting:
            return set()
        self._collecting.remove(listed)
        listed.sip.adopt(self.sip, _of("SIP", listed.touched))
        listed.pjsip.adopt(self.pjsip, _of("PJSIP", listed.touched))
        self.sip, self.pjsip, self._devices = listed.sip, listed.pjsip, listed.devices
        return listed.touched

    def undetailed(self) -> list[Key]:
        """Whom to ask about when there is time: what the lists do not say may have changed."""
        return list(
            chain(
                (Key("SIP", name) for name in self.sip.undetailed()),
                (Key("PJSIP", name) for name in self.pjsip.undetailed()),
            )
        )

    def session_lost(self, last_received: float) -> None:
        """Keep what we know, and count its age from this monotonic instant."""
        self.freshness.lost(last_received)
        self._collecting.clear()

    def _picture(self, technology: Technology) -> SipPicture | PjsipPicture:
        return self.sip if technology == "SIP" else self.pjsip

    def _touch(self, technology: Technology, name: str) -> Key | None:
        if not name:
            return None
        key = Key(technology, name)
        for listed in self._collecting:
            listed.touched.add(key)
        return key


def _of(technology: Technology, keys: set[Key]) -> frozenset[str]:
    return frozenset(key.name for key in keys if key.technology == technology)
