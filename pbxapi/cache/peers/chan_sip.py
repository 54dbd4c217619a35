"""What chan_sip tells of its peers: lists, single answers and events as one picture.

Address and status come with the list and with events; user agent and contact only with the answer
about one peer (SIPshowpeer), which is asked for where they may have changed. Peers of realtime that
are not in memory are in no list.
Source: Asterisk channels/chan_sip.c, 16: _sip_show_peers_one(), _sip_show_peer(),
manager_show_registry(), ast_endpoint_blob_publish() of PeerStatus.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from pbxapi.ami.message import Fields
from pbxapi.cache.peers import sip_uri
from pbxapi.cache.peers.peer import (
    NO_PORT,
    UNMONITORED,
    UNREACHABLE,
    Contact,
    Peer,
    Registration,
)

#: Of a long list so many peers are filled in before others may go on.
CHUNK: Final = 500
#: What stands for an address where there is none, in the list and in the answer about one peer.
_NO_ADDRESS: Final = frozenset({"-none-", "(null)", ""})


class Entry(NamedTuple):
    """What the list says of a peer; `host` is "" where it has no address."""

    host: str
    port: str
    status: str


class Details(NamedTuple):
    """What only the answer about one peer says, and the address that it had then."""

    useragent: str
    regcontact: str
    hosts: tuple[str, ...]
    users: tuple[str, ...]
    host: str
    port: str


class SipPicture:
    """All peers of chan_sip.

    Attributes:
        peers: Name → the peer.
        registrations: Outbound registrations, in the order of the list.
    """

    def __init__(self) -> None:
        self.peers: dict[str, Peer] = {}
        self.registrations: list[Registration] = []
        self.entries: dict[str, Entry] = {}
        self.details: dict[str, Details] = {}
        self.doubted: set[str] = set()

    # -- a list, collected in a picture of its own

    def take_peer(self, fields: Fields) -> None:
        """One PeerEntry of a list."""
        name = fields.get("ObjectName", "")
        if name:
            host = _host(fields.get("IPaddress", ""))
            port = fields.get("IPport", "") if host else NO_PORT
            self.entries[name] = Entry(host, port, fields.get("Status", ""))

    def take_registration(self, fields: Fields) -> None:
        """One RegistryEntry of a list."""
        self.registrations.append(
            Registration(
                technology="SIP",
                state=fields.get("State", ""),
                name="",
                endpoint="",
                host=fields.get("Host", ""),
                user=fields.get("Username", ""),
                auth="",
            )
        )

    def prepare(self, before: "SipPicture") -> Iterator[None]:
        """Fill in from the picture before what no list says; yields where others may go on."""
        self.details = {n: d for n, d in before.details.items() if n in self.entries}
        self.doubted = before.doubted & self.entries.keys()
        for number, (name, entry) in enumerate(self.entries.items(), start=1):
            same = before.entries.get(name) == entry
            self.peers[name] = before.peers[name] if same else self._peer(name)
            if number % CHUNK == 0:
                yield

    def adopt(self, before: "SipPicture", touched: Iterable[str]) -> None:
        """Take over what happened to these peers while the list was under way."""
        for name in touched:
            if name in before.entries:
                self.entries[name] = before.entries[name]
                self.peers[name] = before.peers[name]
                if name in before.details:
                    self.details[name] = before.details[name]
                (self.doubted.add if name in before.doubted else self.doubted.discard)(name)

    # -- single peers

    def take_details(self, name: str, fields: Fields) -> None:
        """The answer about one peer (SIPshowpeer)."""
        host = _host(fields.get("Address-IP", ""))
        port = fields.get("Address-Port", "") if host else NO_PORT
        users = (fields.get("Default-Username", ""), fields.get("SIP-FromUser", ""))
        self.entries[name] = Entry(host, port, fields.get("Status", ""))
        self.details[name] = Details(
            useragent=fields.get("SIP-Useragent", ""),
            regcontact=fields.get("Reg-Contact", ""),
            hosts=_some((fields.get("ToHost", ""),)),
            users=_some(users),
            host=host,
            port=port,
        )
        self.doubted.discard(name)
        self.peers[name] = self._peer(name)

    def forget(self, name: str) -> None:
        """Asterisk does not know this peer any more."""
        self.entries.pop(name, None)
        self.details.pop(name, None)
        self.doubted.discard(name)
        self.peers.pop(name, None)

    def apply(self, fields: Fields) -> str:
        """A PeerStatus event; tells which peer it is about, to ask for the rest.

        It has the new address of a registration, but no round-trip time and no user agent.
        """
        name = fields.get("Peer", "").partition("/")[2]
        old = self.entries.get(name)
        if old is None:
            return name
        match fields.get("PeerStatus"):
            case "Registered":
                self.doubted.add(name)
                host, port = sip_uri.split_host_port(fields.get("Address", ""))
                if host:
                    self.entries[name] = Entry(host, port, old.status)
            case "Unregistered":
                self.entries[name] = Entry("", NO_PORT, old.status)
            case "Unreachable":
                self.entries[name] = old._replace(status=UNREACHABLE)
            case _:
                return name
        self.peers[name] = self._peer(name)
        return name

    def doubt_details(self) -> None:
        """Asterisk may be another one: ask for all details again, and keep these till then."""
        self.doubted.update(self.entries)
        self.peers = {n: peer._replace(detailed=False) for n, peer in self.peers.items()}

    def undetailed(self) -> Iterable[str]:
        """Peers whose user agent or contact may have changed since they were asked about."""
        return [
            name
            for name, entry in self.entries.items()
            if name in self.doubted
            or (details := self.details.get(name)) is None
            or (entry.host and (entry.host, entry.port) != (details.host, details.port))
        ]

    def _peer(self, name: str) -> Peer:
        entry, details = self.entries[name], self.details.get(name)
        contact = sip_uri.parse(details.regcontact) if details is not None else None
        where = Contact(
            host=entry.host,
            port=entry.port,
            status=entry.status,
            round_trip_us=0,
            contact=contact.host if contact is not None else "",
        )
        contacts = (where,) if entry.host else ()
        status = entry.status or UNMONITORED
        if details is None:
            return Peer(contacts, status, "", "", detailed=False)
        current = name not in self.doubted and (entry.host, entry.port) in (
            (details.host, details.port),
            ("", NO_PORT),
        )
        return Peer(
            contacts,
            status,
            details.useragent,
            details.regcontact,
            details.hosts,
            details.users,
            current,
        )


def _host(text: str) -> str:
    return "" if text in _NO_ADDRESS else text


def _some(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for text in texts if text and text != "(null)")
