"""The states of devices, and the event of each change.

Asterisk keeps the state that it told last of every device, and tells again where a driver says that
something happened. Sources: main/devicestate.c; channels/chan_sip.c, sip_devicestate();
channels/chan_pjsip.c, chan_pjsip_devicestate(); captures states, phone-call of both versions.
"""

import enum
from collections.abc import Callable, Iterable
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


def of_sip(peer: "Peer", channels: Iterable[Channel]) -> DeviceState:
    """State of a chan_sip peer; what it is called for counts from the INVITE on."""
    calls = list(channels)
    ringing = sum(c.called and c.state in (State.DOWN, State.RINGING) for c in calls)
    if not peer.contacts:
        return DeviceState.UNAVAILABLE
    if any(channel.on_hold for channel in calls):
        return DeviceState.ONHOLD
    if ringing:
        return DeviceState.RINGING if ringing == len(calls) else DeviceState.RINGINUSE
    if calls:
        return DeviceState.INUSE
    return DeviceState.NOT_INUSE if peer.answers else DeviceState.UNAVAILABLE


def of_pjsip(peer: "Peer", channels: Iterable[Channel]) -> DeviceState:
    """State of a chan_pjsip endpoint, from the states of its channels."""
    calls = [channel for channel in channels if channel.state is not State.DOWN]
    ringing = sum(channel.state is State.RINGING for channel in calls)
    busy = sum(channel.state is State.BUSY for channel in calls)
    held = sum(channel.on_hold for channel in calls)
    talking = len(calls) - ringing - busy - held
    if ringing:
        return DeviceState.RINGINUSE if talking or busy or held else DeviceState.RINGING
    if busy:
        return DeviceState.BUSY
    if talking:
        return DeviceState.INUSE
    if held:
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
        return rule(peer, peer.channels)

    def _of_local(self, rest: str) -> DeviceState:
        """A Local channel's device is there when its extension is (core_local.c)."""
        exten, _, context = rest.partition("/")[0].partition("@")
        known = self._pbx.dialplan.exists(context, exten)
        return DeviceState.NOT_INUSE if known else DeviceState.INVALID

    def began(self, channel: Channel) -> None:
        """A new channel counts for its device."""
        peer = self._peer_of(channel)
        if peer is not None:
            peer.channels[channel] = None

    def changed(self, channel: Channel, *, again: bool = False) -> None:
        """Something happened to a channel: as `refresh`, for its device."""
        peer = self._peer_of(channel)
        if peer is not None:
            self.refresh(peer, again=again)

    def ended(self, channel: Channel) -> None:
        """A channel counts no more; harmless when it did not."""
        peer = self._peer_of(channel)
        if peer is not None and channel in peer.channels:
            del peer.channels[channel]
            self.refresh(peer)

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
            state = self._of_peer(peer)
            if not self._pbx.chan_sip or state is not DeviceState.UNAVAILABLE:
                listed[f"{technology}/{peer.name}"] = state
        return listed
