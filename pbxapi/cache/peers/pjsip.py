"""What PJSIP tells of its peers: endpoints, their AORs and contacts as one picture.

An endpoint has AORs, an AOR has contacts: those that registered, and those that pjsip.conf gives
it. The list of contacts has the registered ones alone; of the configured ones only the answer about
one endpoint tells how they answer.

Two matters are told as chan_sip tells them: without a contact the status is UNKNOWN where the AOR
is qualified and Unmonitored where it is not; and once a registration has lapsed, user agent and
contact of the last one stay.
Source: Asterisk res/res_pjsip/pjsip_options.c, location.c, pjsip_configuration.c,
res_pjsip_outbound_registration.c, 16 and 22.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from pbxapi.ami.message import Fields, Message
from pbxapi.cache.device_state import DeviceState
from pbxapi.cache.peers import sip_uri
from pbxapi.cache.peers.peer import (
    NO_PORT,
    UNKNOWN,
    UNMONITORED,
    UNREACHABLE,
    Contact,
    Peer,
    Registration,
)

#: Of a long list so many peers are filled in before others may go on.
CHUNK: Final = 200
_DEFAULT_PORT: Final = "5060"
#: No number of microseconds that Asterisk sends has more.
MAX_DIGITS: Final = 12
_US_PER_MS: Final = 1000
#: The words of EndpointList; source: main/devicestate.c, devstatestring.
_DEVICE_STATES: Final = {
    "Not in use": DeviceState.NOT_INUSE,
    "In use": DeviceState.INUSE,
    "Busy": DeviceState.BUSY,
    "Invalid": DeviceState.INVALID,
    "Unavailable": DeviceState.UNAVAILABLE,
    "Ringing": DeviceState.RINGING,
    "Ring+Inuse": DeviceState.RINGINUSE,
    "On Hold": DeviceState.ONHOLD,
}


class Endpoint(NamedTuple):
    """What the list says of an endpoint; `auths` are the ones it uses elsewhere."""

    aors: tuple[str, ...]
    auths: tuple[str, ...]


class Registered(NamedTuple):
    """A contact of an AOR as Asterisk tells it.

    Attributes:
        has_via: It registered; others are configured.
        host: The address that it registered from, or that is configured.
        port: … and its port.
        contact: The address that the telephone itself gave.
    """

    uri: str
    has_via: bool
    useragent: str
    status: str
    round_trip_us: int
    host: str
    port: str
    contact: str


class PjsipPicture:
    """All endpoints of PJSIP.

    Attributes:
        peers: Name of the endpoint → the peer.
        registrations: Outbound registrations, in the order of the list.
        device_states: Name of the endpoint → what its device did when it was listed.
    """

    def __init__(self) -> None:
        self.peers: dict[str, Peer] = {}
        self.registrations: list[Registration] = []
        self.device_states: dict[str, DeviceState] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self._qualified: set[str] = set()
        self.contacts: dict[str, dict[str, Registered]] = defaultdict(dict)
        self._configured: dict[str, tuple[str, ...]] = {}
        self.users: dict[str, tuple[str, ...]] = {}
        self._with_configured: list[str] = []
        self._by_aor: dict[str, list[str]] = defaultdict(list)

    # -- a list, collected in a picture of its own

    def take_endpoint(self, fields: Fields) -> None:
        """One EndpointList of a list."""
        name = fields.get("ObjectName", "")
        if name:
            aors, auths = _names(fields.get("Aor", "")), _names(fields.get("OutboundAuths", ""))
            self.endpoints[name] = Endpoint(aors, auths)
            state = _DEVICE_STATES.get(fields.get("DeviceState", ""))
            if state is not None:
                self.device_states[name] = state

    def take_aor(self, fields: Fields) -> None:
        """One AorList of a list: is it qualified, and which contacts has it been given?"""
        name = fields.get("ObjectName", "")
        if fields.get("QualifyFrequency", "0") not in ("", "0"):
            self._qualified.add(name)
        entries = (entry.strip() for entry in fields.get("Contacts", "").split(","))
        prefix = name + "/"
        self._configured[name] = tuple(
            entry.removeprefix(prefix) for entry in entries if entry.startswith(prefix)
        )

    def take_contact(self, fields: Fields) -> None:
        """One ContactList of a list."""
        # The name of a contact is its AOR, ";@" and a hash (location.c).
        aor = fields.get("ObjectName", "").rpartition(";@")[0]
        get, uri = fields.get, fields.get("Uri", "")
        self.contacts[aor][uri] = _registered(
            uri,
            (get("ViaAddr", ""), get("ViaPort", "")),
            get("UserAgent", ""),
            get("Status", ""),
            get("RoundtripUsec", ""),
        )

    def take_registration(self, fields: Fields) -> None:
        """One OutboundRegistrationDetail of a list."""
        server = sip_uri.parse(fields.get("ServerUri", ""))
        client = sip_uri.parse(fields.get("ClientUri", ""))
        self.registrations.append(
            Registration(
                technology="PJSIP",
                state=fields.get("Status", ""),
                name=fields.get("ObjectName", ""),
                endpoint=fields.get("Endpoint", ""),
                host=server.host if server is not None else "",
                user=client.user if client is not None else "",
                auth=fields.get("OutboundAuth", ""),
            )
        )

    def prepare(self, before: "PjsipPicture") -> Iterator[None]:
        """Fill in from the picture before what no list says; yields where others may go on."""
        self.users = {n: users for n, users in before.users.items() if n in self.endpoints}
        for number, (name, endpoint) in enumerate(self.endpoints.items(), start=1):
            for aor in endpoint.aors:
                self._by_aor[aor].append(name)
                known = before.contacts.get(aor, {})
                listed = self.contacts[aor]
                for uri in self._configured.get(aor, ()):
                    if uri not in listed:
                        listed[uri] = known.get(uri) or _unasked(uri)
                        self._with_configured.append(name)
            self.peers[name] = self._peer(name, before.peers.get(name))
            if number % CHUNK == 0:
                yield

    def adopt(self, before: "PjsipPicture", touched: Iterable[str]) -> None:
        """Take over what happened to these peers while the list was under way."""
        for name in touched:
            if name in before.endpoints and name in self.endpoints:
                aors = self.endpoints[name].aors
                self.contacts.update({aor: before.contacts[aor] for aor in aors})
                self._fold(aors)

    # -- single peers

    def take_details(self, name: str, messages: Sequence[Message]) -> None:
        """The answer about one endpoint (PJSIPShowEndpoint), all its events."""
        if name not in self.endpoints:
            return  # new in the configuration: the list after the reload tells of it
        found: dict[str, dict[str, Registered]] = {aor: {} for aor in self._aors_of(name)}
        for message in messages:
            fields = message.fields
            match message.event:
                case "EndpointDetail":
                    self.users[name] = tuple(filter(None, (fields.get("FromUser", ""),)))
                case "AorDetail":
                    found.setdefault(fields.get("ObjectName", ""), {})
                case "ContactStatusDetail":
                    uri = fields.get("URI", "")
                    found.setdefault(fields.get("AOR", ""), {})[uri] = _registered(
                        uri,
                        sip_uri.split_host_port(fields.get("ViaAddress", "")),
                        fields.get("UserAgent", ""),
                        fields.get("Status", ""),
                        fields.get("RoundtripUsec", ""),
                    )
                case _:
                    pass  # its credentials and its transport
        self.contacts.update(found)
        self._fold(found)

    def forget(self, name: str) -> None:
        """Asterisk does not know this endpoint any more."""
        self.endpoints.pop(name, None)
        self.device_states.pop(name, None)
        self.peers.pop(name, None)

    def apply(self, fields: Fields) -> str:
        """A ContactStatus event; tells which endpoint it is about, to ask for the rest.

        A new contact comes without its user agent and without the address it registered from.
        """
        aor, uri = fields.get("AOR", ""), fields.get("URI", "")
        contacts = self.contacts[aor]
        match fields.get("ContactStatus", ""):
            case "Removed":
                contacts.pop(uri, None)
            case status:
                old = contacts.get(uri) or _unasked(uri)
                round_trip_us = _number(fields.get("RoundtripUsec", ""))
                contacts[uri] = old._replace(status=status, round_trip_us=round_trip_us)
        self._fold((aor,))
        return fields.get("EndpointName", "")

    def undetailed(self) -> Iterable[str]:
        """Endpoints with configured contacts: no list tells how these answer."""
        return self._with_configured

    def _aors_of(self, name: str) -> tuple[str, ...]:
        endpoint = self.endpoints.get(name)
        return endpoint.aors if endpoint is not None else ()

    def _fold(self, aors: Iterable[str]) -> None:
        for name in {name for aor in aors for name in self._by_aor.get(aor, ())}:
            self.peers[name] = self._peer(name, self.peers.get(name))

    def _peer(self, name: str, last: Peer | None) -> Peer:
        endpoint = self.endpoints[name]
        places = [
            (_contact(registered, is_qualified=aor in self._qualified), registered)
            for aor in endpoint.aors
            for registered in self.contacts.get(aor, {}).values()
        ]
        if len(places) > 1:
            places.sort(key=_rank)
        hosts = tuple(registered.host for _, registered in places if not registered.has_via)
        users = (*endpoint.auths, *self.users.get(name, ()))
        if not places:
            is_qualified = any(aor in self._qualified for aor in endpoint.aors)
            status = UNKNOWN if is_qualified else UNMONITORED
            useragent, regcontact = (last.useragent, last.regcontact) if last else ("", "")
            return Peer((), status, useragent, regcontact, hosts, users)
        best, registered = places[0]
        return Peer(
            contacts=tuple(contact for contact, _ in places),
            status=best.status,
            useragent=registered.useragent,
            regcontact=sip_uri.as_registered(registered.uri) if registered.has_via else "",
            hosts=hosts,
            users=users,
        )


def _contact(registered: Registered, *, is_qualified: bool) -> Contact:
    return Contact(
        registered.host,
        registered.port,
        _status(registered, is_qualified=is_qualified),
        registered.round_trip_us,
        registered.contact,
    )


def _status(registered: Registered, *, is_qualified: bool) -> str:
    """A contact's status in chan_sip's words, whose round trips are whole milliseconds from 1."""
    match registered.status:
        case "Reachable":
            return f"OK ({max(1, registered.round_trip_us // _US_PER_MS)} ms)"
        case "Unreachable":
            return UNREACHABLE
        case "NonQualified" if not is_qualified:
            return UNMONITORED
        case _:
            return UNKNOWN


def _rank(place: tuple[Contact, Registered]) -> tuple[int, int, str, str]:
    """Those that answer before the others, and of them the quickest."""
    contact, _ = place
    group = 0 if contact.status.startswith("OK") else 2 if contact.status == UNREACHABLE else 1
    return group, contact.round_trip_us, contact.host, contact.port


def _registered(
    uri: str, via: tuple[str, str], useragent: str, status: str, round_trip: str
) -> Registered:
    """A contact, its address told in chan_sip's terms.

    The address that a registration came from is the one that rewrite_contact has put into the
    contact; without it, the one that the telephone wrote into its Via.
    """
    where = sip_uri.parse(uri) or sip_uri.SipUri("", "", "")
    host, port = where.host, where.port or _DEFAULT_PORT
    given = where.host
    if sip_uri.is_rewritten(uri):
        original = sip_uri.parse(sip_uri.as_registered(uri))
        given = original.host if original is not None else ""
    elif via[0] != host and sip_uri.as_ip(via[0]) not in (None, sip_uri.as_ip(host)):
        host, port = via[0], via[1] if via[1] not in ("", "0") else _DEFAULT_PORT
    return Registered(
        uri, bool(via[0]), useragent, status, _number(round_trip), host, port or NO_PORT, given
    )


def _unasked(uri: str) -> Registered:
    return _registered(uri, ("", ""), "", "Unknown", "")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
