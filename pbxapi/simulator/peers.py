"""Peers: where each phone and trunk registered from, whether it answers, and the events of that.

The phone's side of a registration is here too: a test or a random life says what a phone does, and
the methods do what chan_sip or chan_pjsip make of it. Sources: captures register,
register-expire-unreachable, restart-after of both versions; channels/chan_sip.c,
parse_register_contact(), expire_register(), handle_response_peerpoke();
res/res_pjsip/pjsip_options.c.
"""

import dataclasses
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from pbxapi.simulator import classes
from pbxapi.simulator.device_states import DeviceState
from pbxapi.simulator.options import Behaviour, Device
from pbxapi.simulator.peer import Contact, Peer, Reach, Registration

if TYPE_CHECKING:
    from pbxapi.simulator.pbx import Pbx

#: A peer that takes longer to answer is lagged, to chan_sip alone (`qualify=yes`).
MAX_ROUND_TRIP_MS: Final = 2000.0
QUALIFY_S: Final = 15
#: Seconds that a phone registers for.
EXPIRATION_S: Final = 3600
#: Seconds within which a restarted PBX has asked every peer that it knew.
ASKED_WITHIN_S: Final = 1.0
_PER_NETWORK: Final = 250
_PORT: Final = 5060


class Peers:
    """All peers of one PBX, by name, and what happens to them."""

    def __init__(self, pbx: "Pbx") -> None:
        self._pbx = pbx
        self._peers: dict[str, Peer] = {}
        self._calls = 0
        for device in pbx.devices.values():
            self.add(device)

    # looking up

    def get(self, name: str) -> Peer | None:
        """The peer of this name."""
        return self._peers.get(name)

    def __getitem__(self, name: str) -> Peer:
        return self._peers[name]

    def values(self) -> Iterable[Peer]:
        """All peers, in the order of the configuration."""
        return self._peers.values()

    def answers(self, name: str) -> bool:
        """Whether a call to it gets as far as a channel."""
        peer = self._peers.get(name)
        return peer is not None and peer.answers

    def device(self, peer: Peer) -> Device:
        """How it is configured."""
        return self._pbx.devices[peer.name]

    def add(self, device: Device) -> None:
        """Know a device of the configuration; it is registered and answers, unless it says so."""
        peer = Peer(device.name, len(self._peers), static=device.trunk, qualify=device.qualify)
        self._peers[device.name] = peer
        now = self._pbx.clock.time()
        if device.trunk:
            port = device.sip_port
            peer.registration = Registration(device.user, device.host, port, "Registered", now)
        if device.behaviour is not Behaviour.UNREGISTERED:
            contact = self._new_contact(peer, device.host, device.sip_port)
            contact.reach = Reach.REACHABLE if peer.qualify else Reach.NON_QUALIFIED
            peer.contacts[contact.uri] = contact
            peer.state_at_start, peer.online = DeviceState.NOT_INUSE, True

    def _new_contact(self, peer: Peer, host: str, port: int) -> Contact:
        device = self.device(peer)
        if not host:
            host = f"10.0.{peer.number // _PER_NETWORK}.{peer.number % _PER_NETWORK + 1}"
        self._calls += 1
        user = "" if peer.static else f"{peer.name}@"
        return Contact(
            uri=f"sip:{user}{device.contact_host or host}:{port}",
            host=host,
            port=port,
            user_agent=device.user_agent,
            expires_at=self._pbx.clock.time() + EXPIRATION_S,
            call_id=f"{self._calls}-{zlib.crc32(peer.name.encode()):08x}@{host}",
            round_trip_ms=device.round_trip_ms,
        )

    # what phones do

    def register(self, name: str, host: str = "", port: int = 0) -> Contact:
        """A phone registers, or does so again; from elsewhere it is a further contact.

        chan_sip knows one contact and forgets the one before. An answer to the first question
        (qualify) comes a round trip later.
        """
        peer = self._peers[name]
        device = self.device(peer)
        if device.behaviour is Behaviour.UNREGISTERED:
            self._pbx.devices[name] = dataclasses.replace(device, behaviour=Behaviour.ANSWERS)
        contact = self._new_contact(peer, host or device.host, port or device.sip_port)
        known = peer.contacts.get(contact.uri)
        if known is not None:
            known.expires_at, contact = contact.expires_at, known
        if self._pbx.chan_sip:
            self._register_sip(peer, contact)
        elif known is None:
            self._register_pjsip(peer, contact)
        return contact

    def _register_sip(self, peer: Peer, contact: Contact) -> None:
        before = peer.contact
        if before is not None and before is not contact:
            contact.reach, contact.round_trip_ms = before.reach, before.round_trip_ms
        peer.contacts = {contact.uri: contact}
        self._tell(peer, "Registered", f"Address: {contact.host}:{contact.port}\r\n")
        self._pbx.device_states.refresh(peer)
        if before is None:
            self._ask_later(peer, contact, contact.round_trip_ms / 1000)

    def _register_pjsip(self, peer: Peer, contact: Contact) -> None:
        peer.contacts[contact.uri] = contact
        self._tell_contact(peer, contact)
        self._follow_endpoint(peer)
        self._pbx.device_states.refresh(peer)
        self._ask_later(peer, contact, contact.round_trip_ms / 1000)

    def unregister(self, name: str, uri: str = "") -> None:
        """A phone takes back its registrations, or lets them expire; with `uri` that one alone."""
        peer = self._peers[name]
        for contact in [c for c in peer.contacts.values() if uri in ("", c.uri)]:
            del peer.contacts[contact.uri]
            peer.lagged = False
            if self._pbx.chan_sip:
                self._tell(peer, "Unregistered", "Cause: Expired\r\n")
                self._pbx.device_states.refresh(peer)
            else:
                self._follow_endpoint(peer)
                self._pbx.device_states.refresh(peer)
                self._tell_contact(peer, contact, "Removed", 0)

    def move(self, name: str, host: str, port: int = 0) -> None:
        """A phone registers from another address, and leaves the one before."""
        before = list(self._peers[name].contacts.values())
        kept = self.register(name, host, port)
        for contact in before:
            if contact is not kept and not self._pbx.chan_sip:
                self.unregister(name, contact.uri)

    def set_round_trip(self, name: str, milliseconds: float) -> None:
        """It answers after so long; an event only where chan_sip begins or ends to find it lagged.

        The event names no time, so that a client's picture of it ages.
        """
        peer = self._peers[name]
        for contact in peer.contacts.values():
            contact.round_trip_ms = milliseconds
            if contact.reach is Reach.REACHABLE and self._pbx.chan_sip:
                self._judge_sip(peer, contact)

    def lose(self, name: str) -> None:
        """It answers no more, though it is registered."""
        peer = self._peers[name]
        for contact in peer.contacts.values():
            if peer.qualify and contact.reach is not Reach.UNREACHABLE:
                contact.asked, contact.reach = True, Reach.UNREACHABLE
                peer.lagged = False
                self._tell_reach(peer, contact)

    def find(self, name: str) -> None:
        """It answers again."""
        peer = self._peers[name]
        for contact in peer.contacts.values():
            if contact.reach is Reach.UNREACHABLE:
                self._answered(peer, contact)

    def provide(self, trunk: str, status: str) -> None:
        """The provider does something to our own registration: the event Registry.

        Args:
            trunk: Name of the trunk.
            status: As of `Registration`.

        Raises:
            KeyError: there is no such trunk.
        """
        registration = self._peers[trunk].registration
        if registration is None:
            raise KeyError(trunk)
        registration.status = status
        registration.since = self._pbx.clock.time()
        host, port = registration.host, registration.port
        username, domain = registration.username, host
        if not self._pbx.chan_sip:
            username, domain = f"sip:{username}@{host}:{port}", f"sip:{host}:{port}"
        text = (
            f"ChannelType: {self._pbx.options.technology}\r\nUsername: {username}\r\n"
            f"Domain: {domain}\r\nStatus: {status}\r\n"
        )
        self._pbx.announcer.emit("Registry", classes.SYSTEM, text)

    # what the PBX makes of it

    def start_again(self) -> None:
        """A new run of the PBX: it remembers who registered (astdb), and not who answers."""
        for peer in self._peers.values():
            peer.channels.clear()
            peer.doing.clear()
            peer.lagged = peer.online = False
            peer.state_at_start = DeviceState.UNAVAILABLE
            for contact in peer.contacts.values():
                contact.lost = contact.reach is Reach.UNREACHABLE
                contact.reach = Reach.NON_QUALIFIED
                contact.asked = not peer.qualify or self._pbx.chan_sip
                peer.online = contact.asked
                if self._pbx.chan_sip:  # which tells of nobody before it has heard from him
                    peer.state_at_start = DeviceState.UNKNOWN

    def resume(self) -> None:
        """After a start: ask everybody, and register at the providers."""
        for peer in self._peers.values():
            for contact in peer.contacts.values():
                delay_s = self._pbx.random.uniform(0.1, 1) * ASKED_WITHIN_S
                self._ask_later(peer, contact, delay_s)
            if peer.registration is not None:
                self._register_at_provider(peer.name)

    def _register_at_provider(self, trunk: str) -> None:
        later = self._pbx.scheduler.later
        if self._pbx.chan_sip:
            later(ASKED_WITHIN_S / 2, lambda: self.provide(trunk, "Request Sent"))
        later(ASKED_WITHIN_S, lambda: self.provide(trunk, "Registered"))

    def _ask_later(self, peer: Peer, contact: Contact, delay_s: float) -> None:
        if not peer.qualify:
            return

        def ask() -> None:
            if contact.uri not in peer.contacts or contact.reach is not Reach.NON_QUALIFIED:
                return
            if contact.lost:
                contact.asked, contact.reach = True, Reach.UNREACHABLE
                self._tell_reach(peer, contact)
            else:
                self._answered(peer, contact)

        self._pbx.scheduler.later(delay_s, ask)

    def _answered(self, peer: Peer, contact: Contact) -> None:
        contact.asked, contact.lost, contact.reach = True, False, Reach.REACHABLE
        if not self._pbx.chan_sip:
            self._tell_reach(peer, contact)
        elif contact.round_trip_ms > MAX_ROUND_TRIP_MS:
            self._judge_sip(peer, contact)
        else:
            self._tell(peer, "Reachable")
            self._pbx.device_states.refresh(peer)

    def _judge_sip(self, peer: Peer, contact: Contact) -> None:
        lagged = contact.round_trip_ms > MAX_ROUND_TRIP_MS
        if lagged is not peer.lagged:
            peer.lagged = lagged
            self._tell(peer, "Lagged" if lagged else "Reachable")
            self._pbx.device_states.refresh(peer)

    def _tell_reach(self, peer: Peer, contact: Contact) -> None:
        if self._pbx.chan_sip:
            self._tell(peer, "Unreachable", "Time: -1\r\n")
        else:
            self._follow_endpoint(peer)
            self._tell_contact(peer, contact)
        self._pbx.device_states.refresh(peer)

    def _follow_endpoint(self, peer: Peer) -> None:
        if peer.answers is not peer.online:
            peer.online = peer.answers
            self._tell(peer, "Reachable" if peer.online else "Unreachable")

    def _tell(self, peer: Peer, status: str, headers: str = "") -> None:
        technology = self._pbx.options.technology
        text = (
            f"ChannelType: {technology}\r\nPeer: {technology}/{peer.name}\r\n"
            f"PeerStatus: {status}\r\n{headers}"
        )
        self._pbx.announcer.emit("PeerStatus", classes.SYSTEM, text)

    def _tell_contact(
        self, peer: Peer, contact: Contact, status: str = "", usec: int | None = None
    ) -> None:
        reached = contact.reach is Reach.REACHABLE
        if usec is None:
            usec = round(contact.round_trip_ms * 1000) if reached else 0
        text = (
            f"URI: {contact.uri}\r\nContactStatus: {status or contact.reach.value}\r\n"
            f"AOR: {peer.name}\r\nEndpointName: {peer.name}\r\nRoundtripUsec: {usec}\r\n"
        )
        self._pbx.announcer.emit("ContactStatus", classes.SYSTEM, text)
