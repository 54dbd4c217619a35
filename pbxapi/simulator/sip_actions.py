"""The manager actions of chan_sip: SIPpeers, SIPshowpeer, SIPshowregistry.

Source of the wording: capture sip-peers of Asterisk 16.28; channels/chan_sip.c, peer_status().
"""

from typing import Final

from pbxapi.simulator import classes
from pbxapi.simulator.actions import Command
from pbxapi.simulator.conversation import Conversation, id_line
from pbxapi.simulator.peer import Peer, Reach
from pbxapi.simulator.peer_wording import PEER, fill
from pbxapi.simulator.peers import QUALIFY_S
from pbxapi.simulator.wire import Action

_REFRESH_S: Final = 105
_SIP_PORT: Final = 5060
#: `call-limit` of a peer that has none.
_NO_LIMIT: Final = 2147483647


def status(peer: Peer) -> str:
    """What chan_sip thinks of a peer: whether it answers, and how fast."""
    contact = peer.contact
    if not peer.qualify:
        return "Unmonitored"
    if contact is None or contact.reach is Reach.NON_QUALIFIED:
        return "UNKNOWN"
    if contact.reach is Reach.UNREACHABLE:
        return "UNREACHABLE"
    return f"{'LAGGED' if peer.lagged else 'OK'} ({max(1, round(contact.round_trip_ms))} ms)"


def sip_peers(conversation: Conversation, action: Action) -> None:
    """SIPpeers."""
    pbx, ident = conversation.pbx, id_line(action)
    conversation.list_start(action, "Peer status list will follow")
    count = 0
    for peer in pbx.peers.values():
        contact, device = peer.contact, pbx.peers.device(peer)
        host, port = (contact.host, contact.port) if contact is not None else ("-none-", 0)
        count += 1
        conversation.list_item(
            f"Event: PeerEntry\r\n{ident}Channeltype: SIP\r\nObjectName: {peer.name}\r\n"
            f"ChanObjectType: peer\r\nIPaddress: {host}\r\nIPport: {port}\r\n"
            f"Dynamic: {'no' if peer.static else 'yes'}\r\nAutoForcerport: no\r\n"
            "Forcerport: no\r\nAutoComedia: no\r\nComedia: no\r\nVideoSupport: no\r\n"
            f"TextSupport: no\r\nACL: no\r\nStatus: {status(peer)}\r\nRealtimeDevice: no\r\n"
            f"Description: \r\nAccountcode: {device.accountcode}\r\n"
        )
    conversation.list_complete(action, "PeerlistComplete", count)


def sip_show_peer(conversation: Conversation, action: Action) -> None:
    """SIPshowpeer: one answer with everything."""
    pbx, name = conversation.pbx, action.get("Peer")
    if not name:
        conversation.error(action, "Peer: <name> missing.")
        return
    peer = pbx.peers.get(name)
    if peer is None:
        conversation.error(action, f"Peer {name} not found.")
        conversation.line.write("\r\n")
        return
    contact, device = peer.contact, pbx.peers.device(peer)
    dynamic = not peer.static
    expires_s = int(contact.expires_at - pbx.clock.time()) if contact is not None else -1
    headers = fill(
        PEER,
        name=name,
        secret="Y" if dynamic else "N",
        context=device.context,
        language="en" if dynamic else "",
        accountcode=device.accountcode,
        without=frozenset({"SIP-FromUser"}) if dynamic else frozenset(),
        user=device.user,
        call_limit=5 if dynamic else _NO_LIMIT,
        dynamic="Y" if dynamic else "N",
        caller_name=device.caller_name,
        number=device.number,
        expires_s=expires_s if dynamic else -1,
        insecure="no" if dynamic else "port,invite",
        to_host="" if dynamic else device.host,
        host=contact.host if contact is not None else "(null)",
        port=contact.port if contact is not None else 0,
        username=name if dynamic else "",
        status=status(peer),
        user_agent=contact.user_agent if contact is not None else "",
        uri=contact.uri if contact is not None and dynamic else "",
        qualify_ms=QUALIFY_S * 1000 if peer.qualify else 0,
    )
    conversation.respond(action, "Success", headers=headers)


def sip_show_registry(conversation: Conversation, action: Action) -> None:
    """SIPshowregistry: our own registrations at providers."""
    ident, count = id_line(action), 0
    conversation.list_start(action, "Registrations will follow")
    for peer in conversation.pbx.peers.values():
        ours = peer.registration
        if ours is None:
            continue
        count += 1
        conversation.list_item(
            f"Event: RegistryEntry\r\n{ident}Host: {ours.host}\r\nPort: {ours.port}\r\n"
            f"Username: {ours.username}\r\nDomain: {ours.host}\r\nDomainPort: {_SIP_PORT}\r\n"
            f"Refresh: {_REFRESH_S}\r\nState: {ours.status}\r\n"
            f"RegistrationTime: {int(ours.since)}\r\n"
        )
    conversation.list_complete(action, "RegistrationsComplete", count)


_MAY: Final = classes.SYSTEM | classes.REPORTING

#: The actions of this module.
SIP_COMMANDS: Final = (
    Command("SIPpeers", "List SIP peers (text format).", _MAY, sip_peers, driver="SIP"),
    Command("SIPshowpeer", "show SIP peer (text format).", _MAY, sip_show_peer, driver="SIP"),
    Command(
        "SIPshowregistry",
        "Show SIP registrations (text format).",
        _MAY,
        sip_show_registry,
        driver="SIP",
    ),
)
