"""chan_sip's lists, answers and events, as Asterisk 16 sent them."""

import pytest

from pbxapi.cache.peers.chan_sip import CHUNK, SipPicture
from pbxapi.cache.peers.peer import Contact, Peer
from tests.cache.peers.recordings import of_event, sip_details, sip_picture
from tests.cache.replay import message


def test_the_recorded_list() -> None:
    picture = sip_picture()
    assert len(picture.peers) == 21
    assert picture.peers["Linka_1000"] == Peer(
        (Contact("127.0.0.1", "15100", "OK (1 ms)", 0, ""),), "OK (1 ms)", "", "", detailed=False
    )
    assert picture.peers["Linka_1010"] == Peer((), "UNKNOWN", "", "", detailed=False)
    (registration,) = picture.registrations
    assert (registration.host, registration.user) == ("127.0.0.2", "labtrunk")
    assert registration.state == "Registered"
    assert set(picture.undetailed()) == set(picture.peers)


def test_the_recorded_answers_about_single_peers() -> None:
    picture = sip_picture()
    for username in ("Linka_1000", "Linka_1010", "upc"):
        sip_details(picture, username)
    phone = picture.peers["Linka_1000"]
    assert phone.useragent == "LabPhone/1.0 (sipp)"
    assert phone.regcontact == "sip:Linka_1000@127.0.0.1:15100"
    assert phone.contacts == (Contact("127.0.0.1", "15100", "OK (1 ms)", 0, "127.0.0.1"),)
    assert (phone.is_registered, phone.answers, phone.detailed) == (True, True, True)
    assert picture.peers["Linka_1010"] == Peer((), "UNKNOWN", "", "", (), ("Linka_1010",))
    trunk = picture.peers["upc"]
    assert (trunk.hosts, trunk.users) == (("127.0.0.2",), ("labtrunk",))
    assert len(list(picture.undetailed())) == 18


def test_a_telephone_that_registers_again_and_then_no_more() -> None:
    """Recorded: registered, reachable, registered again, expired."""
    picture = sip_picture()
    seen = []
    for each in of_event("16", "register", "PeerStatus"):
        assert picture.apply(each.fields) == "Linka_1005"
        peer = picture.peers["Linka_1005"]
        seen.append((peer.contacts[0].host if peer.contacts else "", peer.status, peer.detailed))
    assert seen == [("127.0.0.1", "UNKNOWN", False)] * 3 + [("", "UNKNOWN", False)]


def test_a_telephone_that_stops_answering() -> None:
    picture = sip_picture()
    for each in of_event("16", "register-expire-unreachable", "PeerStatus"):
        picture.apply(each.fields)
    peer = picture.peers["Linka_1006"]
    assert (peer.is_registered, peer.answers, peer.status) == (True, False, "UNREACHABLE")


def test_after_it_has_lapsed_user_agent_and_contact_stay() -> None:
    """As in the vendor's sample: host (Unspecified), and still a user agent."""
    picture = sip_picture()
    sip_details(picture, "Linka_1000")
    fields = {"Peer": "SIP/Linka_1000", "PeerStatus": "Unregistered", "Cause": "Expired"}
    picture.apply(message("PeerStatus", **fields).fields)
    peer = picture.peers["Linka_1000"]
    assert (peer.is_registered, peer.useragent) == (False, "LabPhone/1.0 (sipp)")
    assert peer.regcontact == "sip:Linka_1000@127.0.0.1:15100"
    assert peer.detailed, "nothing about it is unknown"
    assert "Linka_1000" not in picture.undetailed()


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("192.0.2.9:5070", "192.0.2.9", "5070"), ("[2001:db8::1]:5060", "2001:db8::1", "5060")],
)
def test_a_registration_tells_its_new_address(address: str, host: str, port: str) -> None:
    picture = sip_picture()
    sip_details(picture, "Linka_1000")
    picture.apply({"Peer": "SIP/Linka_1000", "PeerStatus": "Registered", "Address": address})
    (contact,) = picture.peers["Linka_1000"].contacts
    assert (contact.host, contact.port) == (host, port)
    assert "Linka_1000" in picture.undetailed()


def test_registered_without_an_address_changes_none() -> None:
    picture = sip_picture()
    picture.apply({"Peer": "SIP/Linka_1000", "PeerStatus": "Registered"})
    assert picture.peers["Linka_1000"].contacts[0].port == "15100"


def test_words_that_only_an_answer_explains_change_nothing_yet() -> None:
    picture = sip_picture()
    before = picture.peers["Linka_1000"]
    for word in ("Reachable", "Lagged", "Rejected", "SomethingNew"):
        assert picture.apply({"Peer": "SIP/Linka_1000", "PeerStatus": word}) == "Linka_1000"
    assert picture.peers["Linka_1000"] == before


def test_a_peer_that_nobody_has_listed_is_asked_about() -> None:
    picture = sip_picture()
    assert picture.apply({"Peer": "SIP/new", "PeerStatus": "Registered"}) == "new"
    assert "new" not in picture.peers
    picture.forget("new")


def test_entries_without_a_name_are_none() -> None:
    picture = SipPicture()
    picture.take_peer({"IPaddress": "192.0.2.1"})
    assert picture.entries == {}


def test_a_new_list_keeps_details_and_what_happened_meanwhile() -> None:
    before, after = sip_picture(), SipPicture()
    for username in ("Linka_1000", "upc"):
        sip_details(before, username)
    for each in of_event("16", "sip-peers", "PeerEntry"):
        if each.get("ObjectName") != "Linka_1019":
            after.take_peer(each.fields)
    assert list(after.prepare(before)) == []
    before.apply({"Peer": "SIP/Linka_1001", "PeerStatus": "Unregistered"})
    before.apply({"Peer": "SIP/Linka_1000", "PeerStatus": "Registered", "Address": "192.0.2.9:1"})
    after.adopt(before, ["Linka_1000", "Linka_1001", "nobody"])
    assert not after.peers["Linka_1001"].is_registered
    assert after.peers["Linka_1000"].contacts[0].host == "192.0.2.9"
    assert after.peers["Linka_1000"].useragent == "LabPhone/1.0 (sipp)"
    assert "Linka_1000" in after.undetailed()
    assert "upc" not in after.undetailed()
    assert "Linka_1019" not in after.peers


def test_in_a_long_list_others_may_go_on() -> None:
    picture = SipPicture()
    for number in range(2 * CHUNK + 1):
        picture.take_peer({"ObjectName": str(number), "IPaddress": "-none-", "IPport": "0"})
    assert len(list(picture.prepare(SipPicture()))) == 2


def test_details_in_doubt_are_kept_and_asked_for() -> None:
    picture = sip_picture()
    sip_details(picture, "Linka_1000")
    picture.doubt_details()
    assert picture.peers["Linka_1000"].useragent == "LabPhone/1.0 (sipp)"
    assert not picture.peers["Linka_1000"].detailed
    assert "Linka_1000" in picture.undetailed()


def test_an_answer_without_status_is_unmonitored() -> None:
    picture = SipPicture()
    picture.take_details("a", {"Address-IP": "(null)", "ToHost": "(null)"})
    assert picture.peers["a"] == Peer((), "Unmonitored", "", "")
