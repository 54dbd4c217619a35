"""What Asterisk is asked about its peers, and which of its refusals are answers.

Two of them are: a driver that is not there does not know the action, and PJSIP has an error for a
list that is empty. Everything else, "Permission denied" above all, means that we do not know.
Source: Asterisk main/manager.c, process_message(); res/res_pjsip/location.c, pjsip_options.c and
pjsip_configuration.c, 16 to 22.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from pbxapi.ami.message import Fields, Message
from pbxapi.ami.requests import Request
from pbxapi.cache.followers import Asker, Lister
from pbxapi.cache.peers.peer import Key
from pbxapi.cache.peers.store import Listed, PeerStore
from pbxapi.errors import PbxRefused

_UNKNOWN_COMMAND: Final = "Invalid/unknown command"
_EMPTY: Final = frozenset({"No endpoints found", "No AORs found", "No Contacts found"})
#: What they say of a single peer that they do not have.
_NO_PEER: Final = ("Peer ", "Unable to retrieve endpoint")


class AmiList(NamedTuple):
    """An action that lists, the event that is an item of it, and who takes it."""

    action: str
    item: str
    take: Callable[[Listed, Fields], None]


#: The first list of each driver tells whether the driver is there at all.
DRIVERS: Final = (
    (
        AmiList("SIPpeers", "PeerEntry", lambda listed, item: listed.sip.take_peer(item)),
        AmiList(
            "SIPshowregistry",
            "RegistryEntry",
            lambda listed, item: listed.sip.take_registration(item),
        ),
    ),
    (
        AmiList(
            "PJSIPShowEndpoints",
            "EndpointList",
            lambda listed, item: listed.pjsip.take_endpoint(item),
        ),
        AmiList("PJSIPShowAors", "AorList", lambda listed, item: listed.pjsip.take_aor(item)),
        AmiList(
            "PJSIPShowContacts",
            "ContactList",
            lambda listed, item: listed.pjsip.take_contact(item),
        ),
        AmiList(
            "PJSIPShowRegistrationsOutbound",
            "OutboundRegistrationDetail",
            lambda listed, item: listed.pjsip.take_registration(item),
        ),
    ),
)
DEVICES: Final = AmiList(
    "DeviceStateList",
    "DeviceStateChange",
    lambda listed, item: listed.take_device(item.get("Device", ""), item.get("State", "")),
)


async def list_all(lister: Lister, listed: Listed) -> None:
    """Collect everything about peers.

    Raises:
        PbxRefused, PbxUnavailable: something stays unknown.
    """
    for driver, *others in DRIVERS:
        if await _take(lister, driver, listed):
            for each in others:
                await _take(lister, each, listed)
    await _take(lister, DEVICES, listed)


async def _take(lister: Lister, ami_list: AmiList, listed: Listed) -> bool:
    """Collect one list; tells whether Asterisk has that action at all."""

    def on_item(message: Message) -> None:
        if message.event == ami_list.item:
            ami_list.take(listed, message.fields)

    try:
        await lister.request_list(Request(ami_list.action), on_item)
    except PbxRefused as refusal:
        text = str(refusal).strip()  # PJSIP ends its own in a line feed
        if text not in _EMPTY and not text.startswith(_UNKNOWN_COMMAND):
            raise PbxRefused(f"{ami_list.action}: {text}") from refusal
        return text in _EMPTY
    return True


async def ask_about(asker: Asker, key: Key, store: PeerStore) -> None:
    """Ask about one peer, and tell the store.

    Raises:
        PbxRefused, PbxUnavailable: it stays as it was.
    """
    try:
        if key.technology == "SIP":
            answer = await asker.request(Request("SIPshowpeer", (("Peer", key.name),)))
            store.sip.take_details(key.name, answer.fields)
        else:
            items: list[Message] = []
            request = Request("PJSIPShowEndpoint", (("Endpoint", key.name),))
            await asker.request_list(request, items.append)
            store.pjsip.take_details(key.name, items)
    except PbxRefused as refusal:
        if not str(refusal).startswith(_NO_PEER):
            raise
        store.forget(key)
    store.answered(key)


async def ask_registrations(lister: Lister, store: PeerStore) -> None:
    """Ask for the outbound registrations of both drivers.

    Raises:
        PbxRefused, PbxUnavailable: they stay as they were.
    """
    listed = Listed()
    for _, *others in DRIVERS:
        await _take(lister, others[-1], listed)
    store.registered(listed)
