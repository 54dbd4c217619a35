"""What the drivers told in the recorded sessions, as pictures."""

from pbxapi.ami.message import Message
from pbxapi.cache.peers.chan_sip import SipPicture
from pbxapi.cache.peers.pjsip import PjsipPicture
from tests.cache.replay import messages


def of_event(version: str, name: str, *events: str) -> list[Message]:
    """The events of that session of these names."""
    return [each for each in messages(version, name) if each.event in events]


def sip_picture() -> SipPicture:
    """All peers of Asterisk 16, as SIPpeers and SIPshowregistry listed them."""
    picture = SipPicture()
    for each in of_event("16", "sip-peers", "PeerEntry"):
        picture.take_peer(each.fields)
    for each in of_event("16", "sip-peers", "RegistryEntry"):
        picture.take_registration(each.fields)
    assert list(picture.prepare(SipPicture())) == []
    return picture


def sip_details(picture: SipPicture, username: str) -> None:
    """Let it take the recorded answer of SIPshowpeer about one of them."""
    for each in messages("16", "sip-peers"):
        if each.get("ObjectName") == username and not each.event:
            picture.take_details(username, each.fields)
            return
    raise AssertionError(username)


def pjsip_picture() -> PjsipPicture:
    """All endpoints of Asterisk 22, as the four lists told of them."""
    picture = PjsipPicture()
    for event, take in (
        ("EndpointList", picture.take_endpoint),
        ("AorList", picture.take_aor),
        ("ContactList", picture.take_contact),
        ("OutboundRegistrationDetail", picture.take_registration),
    ):
        for each in of_event("22", "pjsip-endpoints", event):
            take(each.fields)
    assert list(picture.prepare(PjsipPicture())) == []
    return picture
