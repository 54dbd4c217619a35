"""The manager actions of chan_pjsip: PJSIPShowEndpoints and its kin.

Source of the wording: captures of Asterisk 22.10 and of 16.28 with chan_pjsip;
res/res_pjsip/pjsip_options.c, location.c, pjsip_configuration.c. An empty list is an error there.
"""

from collections.abc import Iterator
from typing import Final

from pbxapi.simulator import classes
from pbxapi.simulator.actions import Command, Handler
from pbxapi.simulator.conversation import Conversation, id_line
from pbxapi.simulator.device_states import WORDS
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.peer import Contact, Peer, Reach
from pbxapi.simulator.peer_wording import AOR, AUTH, ENDPOINT, TRANSPORT, fill
from pbxapi.simulator.peers import QUALIFY_S
from pbxapi.simulator.wire import Action

#: What the list of AORs leaves out of an AOR.
_DETAIL_ONLY: Final = frozenset({"TotalContacts", "ContactsRegistered", "EndpointName"})
#: What an object shows where it belongs to an endpoint.
_OF_ENDPOINT: Final = frozenset({"EndpointName"})
_MAX_CONTACTS: Final = 2


def show_endpoints(conversation: Conversation, action: Action) -> None:
    """PJSIPShowEndpoints."""
    pbx = conversation.pbx
    items = []
    for peer in pbx.peers.values():
        contacts = "".join(f"{peer.name}/{uri}," for uri in peer.contacts)
        items.append(
            f"ObjectType: endpoint\r\nObjectName: {peer.name}\r\nTransport: transport-udp\r\n"
            f"Aor: {peer.name}\r\nAuths: {'' if peer.static else peer.name}\r\n"
            f"OutboundAuths: \r\nContacts: {contacts}\r\nDeviceState: {_state(pbx, peer)}\r\n"
            f"ActiveChannels: {len(peer.channels)}\r\n"
        )
    _list(
        conversation, action, "Endpoint", "EndpointList", items=items, nothing="No endpoints found"
    )


def show_contacts(conversation: Conversation, action: Action) -> None:
    """PJSIPShowContacts: those that registered."""
    newer = _is_newer(conversation.pbx)
    items = [
        f"ObjectType: contact\r\nObjectName: {contact.ident(peer.name)}\r\n"
        f"ViaAddr: {contact.host}\r\nQualifyTimeout: 3.000000\r\n"
        f"{_newer('Qualify2xxOnly: false', newer)}CallId: {contact.call_id}\r\nRegServer: \r\n"
        f"PruneOnBoot: no\r\nPath: \r\nEndpoint: {peer.name}\r\nViaPort: {contact.port}\r\n"
        f"AuthenticateQualify: no\r\nUri: {contact.uri}\r\nQualifyFrequency: {_frequency(peer)}\r\n"
        f"UserAgent: {contact.user_agent}\r\nExpirationTime: {int(contact.expires_at)}\r\n"
        f"OutboundProxy: \r\nStatus: {contact.reach.value}\r\n"
        f"RoundtripUsec: {_usec(contact)}\r\n"
        for peer, contact in _registered(conversation.pbx)
    ]
    _list(conversation, action, "Contact", "ContactList", items=items, nothing="No Contacts found")


def show_aors(conversation: Conversation, action: Action) -> None:
    """PJSIPShowAors."""
    pbx = conversation.pbx
    items = [_aor(pbx, peer, without=_DETAIL_ONLY) for peer in pbx.peers.values()]
    _list(conversation, action, "AOR", "AorList", items=items, nothing="No AORs found")


def show_endpoint(conversation: Conversation, action: Action) -> None:
    """PJSIPShowEndpoint: one endpoint with all that belongs to it."""
    pbx, name, ident = conversation.pbx, action.get("Endpoint"), id_line(action)
    peer = pbx.peers.get(name)
    if peer is None:
        message = f"Unable to retrieve endpoint {name}\n" if name else "Endpoint parameter missing."
        conversation.error(action, message)
        return
    device = pbx.peers.device(peer)
    newer = _is_newer(pbx)
    endpoint = fill(
        ENDPOINT,
        newer=newer,
        name=name,
        context=device.context,
        callerid=f'"{device.caller_name}" <{device.number}>' if device.number else "<unknown>",
        accountcode=device.accountcode,
        auth="" if peer.static else name,
        state=_state(pbx, peer),
        calls=len(peer.channels),
    )
    details = [("EndpointDetail", endpoint)]
    if not peer.static:
        details.append(("AuthDetail", fill(AUTH, newer=newer, name=name)))
    details.append(("TransportDetail", fill(TRANSPORT, newer=newer, name=name)))
    details.append(("AorDetail", _aor(pbx, peer)))
    details += [("ContactStatusDetail", _status(pbx, peer, c)) for c in peer.contacts.values()]
    about = "Following are Events for each object associated with the Endpoint"
    conversation.list_start(action, about)
    for event, text in details:
        conversation.list_item(f"Event: {event}\r\n{ident}{text}")
    conversation.list_complete(action, "EndpointDetailComplete", len(details))


def show_inbound(conversation: Conversation, action: Action) -> None:
    """PJSIPShowRegistrationInboundContactStatuses; nobody registered is an empty list here."""
    about = "Following are ContactStatusEvents for each Inbound registration"
    conversation.list_start(action, about)
    registered = list(_registered(conversation.pbx))
    for peer, contact in registered:
        text = _status(conversation.pbx, peer, contact)
        conversation.list_item(f"Event: ContactStatusDetail\r\n{id_line(action)}{text}")
    conversation.list_complete(action, "ContactStatusDetailComplete", len(registered))


def show_outbound(conversation: Conversation, action: Action) -> None:
    """PJSIPShowRegistrationsOutbound: our own registrations at providers."""
    conversation.list_start(action, "Following are Events for each Outbound registration")
    ours = [(p.name, p.registration) for p in conversation.pbx.peers.values() if p.registration]
    newer = _is_newer(conversation.pbx)
    for name, registration in ours:
        server = f"{registration.host}:{registration.port}"
        conversation.list_item(
            f"Event: OutboundRegistrationDetail\r\n{id_line(action)}ObjectType: registration\r\n"
            f"ObjectName: {name}-reg\r\nMaxRetries: 10\r\n"
            f"ClientUri: sip:{registration.username}@{server}\r\n"
            f"{_newer('SecurityNegotiation: no', newer)}AuthRejectionPermanent: true\r\n"
            f"ServerUri: sip:{server}\r\nMaxRandomInitialDelay: 10\r\nSupportPath: false\r\n"
            f"RetryInterval: 10\r\n{_newer('ContactHeaderParams: ', newer)}"
            "Expiration: 3600\r\nTransport: transport-udp\r\nLine: true\r\n"
            f"ContactUser: {registration.username}\r\nEndpoint: {name}\r\n"
            f"{_newer('UserAgent: ', newer)}ForbiddenRetryInterval: 0\r\n"
            f"OutboundAuth: {name}-auth\r\nOutboundProxy: \r\nFatalRetryInterval: 0\r\n"
            f"{_newer('SupportOutbound: no', newer)}Status: {registration.status}\r\n"
            "NextReg: 0\r\n"
        )
        auth = fill(AUTH, newer=newer, without=_OF_ENDPOINT, name=f"{name}-auth")
        conversation.list_item(f"Event: AuthDetail\r\n{id_line(action)}{auth}")
    registered = sum(registration.status == "Registered" for _, registration in ours)
    counts = f"Registered: {registered}\r\nNotRegistered: {len(ours) - registered}\r\n"
    event = "OutboundRegistrationDetailComplete"
    conversation.list_complete(action, event, len(ours), counts)


def _list(
    conversation: Conversation,
    action: Action,
    what: str,
    event: str,
    *,
    items: list[str],
    nothing: str,
) -> None:
    if not items:
        conversation.error(action, nothing)
        return
    about = f"A listing of {what}s follows, presented as {event} events"
    conversation.list_start(action, about)
    for item in items:
        conversation.list_item(f"Event: {event}\r\n{id_line(action)}{item}")
    conversation.list_complete(action, f"{event}Complete", len(items))


def _registered(pbx: Pbx) -> Iterator[tuple[Peer, Contact]]:
    for peer in pbx.peers.values():
        if not peer.static:
            for contact in peer.contacts.values():
                yield peer, contact


def _is_newer(pbx: Pbx) -> bool:
    """Whether it has what came behind 16."""
    return pbx.version > 16  # noqa: PLR2004 - the version


def _newer(header: str, newer: bool) -> str:
    return f"{header}\r\n" if newer else ""


def _state(pbx: Pbx, peer: Peer) -> str:
    return WORDS[pbx.device_states.of(f"{pbx.options.technology}/{peer.name}")]


def _frequency(peer: Peer) -> int:
    return QUALIFY_S if peer.qualify else 0


def _usec(contact: Contact) -> str:
    """Round-trip time; none where it was not measured."""
    return str(round(contact.round_trip_ms * 1000)) if contact.reach is Reach.REACHABLE else "N/A"


def _aor(pbx: Pbx, peer: Peer, without: frozenset[str] = frozenset()) -> str:
    return fill(
        AOR,
        newer=_is_newer(pbx),
        without=without,
        name=peer.name,
        expiration=3600 if peer.static else 120,
        most=0 if peer.static else _MAX_CONTACTS,
        contacts=",".join(f"{peer.name}/{uri}" for uri in peer.contacts),
        frequency=_frequency(peer),
        total=len(peer.contacts),
        registered=0 if peer.static else len(peer.contacts),
    )


def _status(pbx: Pbx, peer: Peer, contact: Contact) -> str:
    via = f"ViaAddress: {contact.host}:{contact.port}\r\nCallID: {contact.call_id}\r\n"
    newer = _is_newer(pbx)
    expires = 0 if peer.static else int(contact.expires_at)
    return (
        f"AOR: {peer.name}\r\nURI: {contact.uri}\r\nUserAgent: {contact.user_agent}\r\n"
        f"RegExpire: {expires}\r\n{'' if peer.static else via}"
        f"Status: {contact.reach.value}\r\nRoundtripUsec: {_status_usec(contact)}\r\n"
        f"EndpointName: {peer.name}\r\nID: {contact.ident(peer.name)}\r\nAuthenticateQualify: 0\r\n"
        f"OutboundProxy: \r\nPath: \r\nQualifyFrequency: {_frequency(peer)}\r\n"
        f"QualifyTimeout: 3.000\r\n{_newer('Qualify2xxOnly: 0', newer)}"
    )


def _status_usec(contact: Contact) -> str:
    """As `_usec`, but a contact that does not answer has none and not an unknown one."""
    return "0" if contact.reach is not Reach.REACHABLE else _usec(contact)


def _command(name: str, synopsis: str, run: Handler) -> Command:
    return Command(name, synopsis, classes.SYSTEM, run, driver="PJSIP")


#: The actions of this module.
PJSIP_COMMANDS: Final = (
    _command("PJSIPShowAors", "Lists PJSIP AORs.", show_aors),
    _command("PJSIPShowContacts", "Lists PJSIP Contacts.", show_contacts),
    _command("PJSIPShowEndpoint", "Detail listing of an endpoint and its objects.", show_endpoint),
    _command("PJSIPShowEndpoints", "Lists PJSIP endpoints.", show_endpoints),
    _command(
        "PJSIPShowRegistrationInboundContactStatuses",
        "Lists ContactStatuses for PJSIP inbound registrations.",
        show_inbound,
    ),
    _command(
        "PJSIPShowRegistrationsOutbound", "Lists PJSIP outbound registrations.", show_outbound
    ),
)
