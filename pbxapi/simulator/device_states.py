"""The states of devices, and the event of each change.

Asterisk keeps the state that it told last of every device, and tells again where a driver says that
something happened. Sources: main/devicestate.c; channels/chan_sip.c, sip_devicestate();
channels/chan_pjsip.c, chan_pjsip_devicestate(); captures states, phone-call of both versions.
"""

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pbxapi.simulator import classes
from pbxapi.simulator.channels import Channel, State

if TYPE_CHECKING:
    from pbxapi.simulator.pbx import Pbx
    from pbxapi.simulator.peer import Peer


class DeviceState(enum.IntEnum):
    """States by name, as events show them, and by number, as queue members do."""

    UNKNOWN = 0
    NOT_INUSE = 1
    INUSE = 2
    BUSY = 3
    INVALID = 4
    UNAVAILABLE = 5
    RINGING = 6
    RINGINUSE = 7
    ONHOLD = 8


#: How `PJSIPShowEndpoints` words a state.
WORDS: Final = {
    DeviceState.UNKNOWN: "Unknown",
    DeviceState.NOT_INUSE: "Not in use",
    DeviceState.INUSE: "In use",
    DeviceState.BUSY: "Busy",
    DeviceState.INVALID: "Invalid",
    DeviceState.UNAVAILABLE: "Unavailable",
    DeviceState.RINGING: "Ringing",
    DeviceState.RINGINUSE: "Ring+Inuse",
    DeviceState.ONHOLD: "On Hold",
}

#: Told of every change: the device and its new state.
Follower = Callable[[str, DeviceState], None]


class Doing(enum.Enum):
    """What one channel makes its device do."""

    NOTHING = enum.auto()
    RINGING = enum.auto()
    TALKING = enum.auto()
    HOLDING = enum.auto()
    BUSY = enum.auto()


def of_sip(peer: "Peer") -> DeviceState:
    """State of a chan_sip peer."""
    doing = peer.doing
    if not peer.contacts:
        return DeviceState.UNAVAILABLE
    if doing[Doing.HOLDING]:
        return DeviceState.ONHOLD
    if ringing := doing[Doing.RINGING]:
        return DeviceState.RINGING if ringing == len(peer.channels) else DeviceState.RINGINUSE
    if peer.channels:
        return DeviceState.INUSE
    return DeviceState.NOT_INUSE if peer.answers else DeviceState.UNAVAILABLE


def of_pjsip(peer: "Peer") -> DeviceState:
    """State of a chan_pjsip endpoint, from the states of its channels alone while it has some."""
    doing = peer.doing
    if doing[Doing.RINGING]:
        alone = doing[Doing.RINGING] + doing[Doing.NOTHING] == len(peer.channels)
        return DeviceState.RINGING if alone else DeviceState.RINGINUSE
    if doing[Doing.BUSY]:
        return DeviceState.BUSY
    if doing[Doing.TALKING]:
        return DeviceState.INUSE
    if doing[Doing.HOLDING]:
        return DeviceState.ONHOLD
    return DeviceState.NOT_INUSE if peer.answers else DeviceState.UNAVAILABLE


class DeviceStates:
    """States of all devices of one PBX, under names as `PJSIP/Linka_1000`.

    Attributes:
        followers: Told of every change behind its event.
    """

    def __init__(self, pbx: "Pbx") -> None:
        self._pbx = pbx
        self._known: dict[str, DeviceState] = {}
        self.followers: list[Follower] = []

    def forget(self) -> None:
        """The PBX starts again."""
        self._known.clear()

    def of(self, device: str) -> DeviceState:
        """State of a device now; INVALID for one that does not exist."""
        technology, _, rest = device.partition("/")
        if technology == "Local":
            return self._of_local(rest)
        if technology.upper() != self._pbx.options.technology:
            return self._known.get(device, DeviceState.INVALID)
        peer = self._pbx.peers.get(rest)
        return self._of_peer(peer) if peer is not None else DeviceState.INVALID

    def _of_peer(self, peer: "Peer") -> DeviceState:
        rule = of_sip if self._pbx.chan_sip else of_pjsip
        return rule(peer)

    def _of_local(self, rest: str) -> DeviceState:
        """A Local channel's device is there when its extension is (core_local.c)."""
        exten, _, context = rest.partition("/")[0].partition("@")
        known = self._pbx.dialplan.exists(context, exten)
        return DeviceState.NOT_INUSE if known else DeviceState.INVALID

    def began(self, channel: Channel) -> None:
        """A new channel counts for its device."""
        peer = self._peer_of(channel)
        if peer is not None:
            doing = peer.channels[channel] = self._what_it_does(channel)
            peer.doing[doing] += 1

    def changed(self, channel: Channel, *, again: bool = False) -> None:
        """Something happened to a channel: as `refresh`, for its device."""
        peer = self._peer_of(channel)
        if peer is not None and channel in peer.channels:
            peer.doing[peer.channels[channel]] -= 1
            doing = peer.channels[channel] = self._what_it_does(channel)
            peer.doing[doing] += 1
            self.refresh(peer, again=again)

    def ended(self, channel: Channel) -> None:
        """A channel counts no more; harmless when it did not."""
        peer = self._peer_of(channel)
        if peer is not None and channel in peer.channels:
            peer.doing[peer.channels.pop(channel)] -= 1
            self.refresh(peer)

    def _what_it_does(self, channel: Channel) -> Doing:
        """chan_sip counts a call to a phone from the INVITE on, chan_pjsip from its ringing."""
        if channel.on_hold:
            return Doing.HOLDING
        if channel.state is State.RINGING:
            return Doing.RINGING
        if channel.state is State.DOWN:
            if not self._pbx.chan_sip:
                return Doing.NOTHING
            return Doing.RINGING if channel.called else Doing.TALKING
        return Doing.BUSY if channel.state is State.BUSY else Doing.TALKING

    def _peer_of(self, channel: Channel) -> "Peer | None":
        return self._pbx.peers.get(channel.device.name) if channel.device is not None else None

    def refresh(self, peer: "Peer", *, again: bool = False) -> None:
        """Something happened to a peer: tell its state where it is new, or always."""
        state = self._of_peer(peer)
        device = f"{self._pbx.options.technology}/{peer.name}"
        if again or self._known.get(device, peer.state_at_start) is not state:
            self.tell(device, state)

    def tell(self, device: str, state: DeviceState) -> None:
        """DeviceStateChange, whatever was told before."""
        self._known[device] = state
        announcer = self._pbx.announcer
        if announcer.wanted & classes.CALL:
            text = f"Device: {device}\r\nState: {state.name}\r\n"
            announcer.emit("DeviceStateChange", classes.CALL, text)
        for follower in self.followers:
            follower(device, state)

    def listed(self) -> dict[str, DeviceState]:
        """What DeviceStateList shows: devices with a state that was told since the start.

        chan_pjsip tells of all of its endpoints at the start, chan_sip only of those that answer.
        """
        technology = self._pbx.options.technology
        listed = dict(self._known)
        for peer in self._pbx.peers.values():
            device = f"{technology}/{peer.name}"
            if not self._pbx.chan_sip or peer.state_at_start is DeviceState.NOT_INUSE:
                listed[device] = self._of_peer(peer)
        return listed
