"""A peer as a value: where it can be reached, and how it answers, in the words of chan_sip.

Both drivers are told in one language, so that what reads the picture need not know which one a
telephone uses. The words are those of `sip show peers`, which the legacy API has always handed on.
Source: Asterisk channels/chan_sip.c, peer_status(), 16.
"""

from typing import Final, Literal, NamedTuple

Technology = Literal["SIP", "PJSIP"]

#: What stands for an address where there is none.
UNSPECIFIED: Final = "(Unspecified)"
NO_PORT: Final = "0"
UNKNOWN: Final = "UNKNOWN"
UNMONITORED: Final = "Unmonitored"
UNREACHABLE: Final = "UNREACHABLE"


class Key(NamedTuple):
    """Which peer: both drivers may have one of the same name."""

    technology: Technology
    name: str

    @property
    def device(self) -> str:
        """Its name as a device and in its channels' names."""
        return f"{self.technology}/{self.name}"


class Contact(NamedTuple):
    """One place at which a peer can be reached.

    Attributes:
        host: The address that it registered from, or that is configured; without brackets.
        port: … and its port.
        status: How it answers.
        round_trip_us: How long that took, in microseconds; 0 where nobody knows.
        contact: The address in its Contact header, without brackets; "" where it has given none.
    """

    host: str
    port: str
    status: str
    round_trip_us: int
    contact: str


class Peer(NamedTuple):
    """One peer.

    Attributes:
        contacts: Where it can be reached, best first; nobody is registered where it is empty.
        status: How the best of them answers.
        useragent: What the best of them calls itself; of the last one where none is left.
        regcontact: Contact header of the same.
        hosts: Hosts that it is configured with: its provider's, where it is a trunk.
        users: Names that it calls itself by when it registers elsewhere.
        detailed: Whether user agent and contact were asked for since they may have changed.
    """

    contacts: tuple[Contact, ...]
    status: str
    useragent: str
    regcontact: str
    hosts: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    detailed: bool = True

    @property
    def is_registered(self) -> bool:
        """Whether there is anywhere to call it at."""
        return bool(self.contacts)

    @property
    def answers(self) -> bool:
        """Whether Asterisk would try to call it.

        A peer that answers late is treated as one that does not answer at all (chan_sip.c,
        create_addr_from_peer()).
        """
        return self.is_registered and not self.status.startswith((UNREACHABLE, "LAGGED"))


class Registration(NamedTuple):
    """An outbound registration of the PBX at somebody else's.

    Attributes:
        state: Asterisk's word: Registered, Unregistered, Rejected, Request Sent …
        name: Its own name in pjsip.conf; "" in chan_sip.
        endpoint: The endpoint that pjsip.conf says it belongs to.
        host: Where it registers.
        user: … and as whom.
        auth: Section of pjsip.conf with its credentials.
    """

    technology: Technology
    state: str
    name: str
    endpoint: str
    host: str
    user: str
    auth: str
