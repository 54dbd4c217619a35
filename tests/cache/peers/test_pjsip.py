"""PJSIP's lists, answers and events, as Asterisk 22 sent them."""

import pytest

from pbxapi.cache.device_state import DeviceState
from pbxapi.cache.peers.peer import Contact, Peer
from pbxapi.cache.peers.pjsip import CHUNK, PjsipPicture
from tests.cache.peers.recordings import of_event, pjsip_picture
from tests.cache.replay import message, messages

URI = "sip:Linka_1005@127.0.0.1:25105"


def endpoint(picture: PjsipPicture, name: str, *aors: str, qualify: str = "60") -> None:
    picture.take_endpoint({"ObjectName": name, "Aor": ", ".join(aors or (name,))})
    for aor in aors or (name,):
        picture.take_aor({"ObjectName": aor, "QualifyFrequency": qualify})


def prepared(picture: PjsipPicture, before: PjsipPicture | None = None) -> PjsipPicture:
    for _ in picture.prepare(before or PjsipPicture()):
        pass
    return picture


def contact(picture: PjsipPicture, aor: str, uri: str, **fields: str) -> None:
    fields = {"Status": "Reachable", "RoundtripUsec": "5000", "ViaAddr": "", **fields}
    picture.take_contact({"ObjectName": f"{aor};@{uri}", "Uri": uri, **fields})


def test_the_recorded_lists() -> None:
    picture = pjsip_picture()
    assert len(picture.peers) == 21
    assert picture.peers["Linka_1000"] == Peer(
        (Contact("127.0.0.1", "25100", "OK (1 ms)", 440, "127.0.0.1"),),
        "OK (1 ms)",
        "LabPhone/1.0 (sipp)",
        "sip:Linka_1000@127.0.0.1:25100",
    )
    assert picture.peers["Linka_1010"] == Peer((), "UNKNOWN", "", "")
    assert picture.device_states["Linka_1000"] is DeviceState.NOT_INUSE
    assert picture.device_states["Linka_1010"] is DeviceState.UNAVAILABLE
    (registration,) = picture.registrations
    assert (registration.endpoint, registration.state) == ("upc", "Registered")
    assert (registration.host, registration.user) == ("127.0.0.2", "labtrunk")
    assert list(picture.undetailed()) == ["upc"]
    trunk = picture.peers["upc"]
    assert trunk.contacts == (Contact("127.0.0.2", "25990", "UNKNOWN", 0, "127.0.0.2"),)
    assert (trunk.hosts, trunk.regcontact) == (("127.0.0.2",), "")


def test_the_recorded_answer_about_one_endpoint() -> None:
    picture = pjsip_picture()
    before = picture.peers["Linka_1000"]
    items = [m for m in messages("22", "pjsip-endpoints") if m.action_id == "lab-3" and m.event]
    assert {m.event for m in items} > {"EndpointDetail", "ContactStatusDetail", "AuthDetail"}
    picture.take_details("Linka_1000", items)
    assert picture.peers["Linka_1000"] == before
    picture.take_details("Linka_1000", [m for m in items if m.event != "ContactStatusDetail"])
    assert not picture.peers["Linka_1000"].is_registered
    picture.take_details("nobody", items)
    assert "nobody" not in picture.peers


def test_a_telephone_that_registers_and_then_no_more() -> None:
    picture = pjsip_picture()
    seen = []
    for each in of_event("22", "register", "ContactStatus"):
        assert picture.apply(each.fields) == "Linka_1005"
        peer = picture.peers["Linka_1005"]
        seen.append((each.get("ContactStatus"), peer.is_registered, peer.status))
    assert seen == [
        ("NonQualified", True, "UNKNOWN"),
        ("Reachable", True, "OK (1 ms)"),
        ("Removed", False, "UNKNOWN"),
    ]
    assert picture.peers["Linka_1005"].regcontact == "", "it was never asked about"


def test_a_telephone_that_stops_answering() -> None:
    picture = pjsip_picture()
    for each in of_event("22", "register-expire-unreachable", "ContactStatus"):
        picture.apply(each.fields)
    peer = picture.peers["Linka_1006"]
    assert (peer.is_registered, peer.answers, peer.status) == (True, False, "UNREACHABLE")


def test_after_it_has_lapsed_user_agent_and_contact_stay_as_with_chan_sip() -> None:
    picture = pjsip_picture()
    uri = "sip:Linka_1000@127.0.0.1:25100"
    headers = {"AOR": "Linka_1000", "EndpointName": "Linka_1000", "URI": uri}
    picture.apply({**headers, "ContactStatus": "Removed"})
    peer = picture.peers["Linka_1000"]
    assert (peer.is_registered, peer.status, peer.useragent, peer.regcontact) == (
        False,
        "UNKNOWN",
        "LabPhone/1.0 (sipp)",
        uri,
    )
    after = PjsipPicture()
    endpoint(after, "Linka_1000")
    assert prepared(after, picture).peers["Linka_1000"].useragent == "LabPhone/1.0 (sipp)"


@pytest.mark.parametrize(
    ("status", "us", "qualify", "expected"),
    [
        ("Reachable", "35417", "60", "OK (35 ms)"),
        ("Reachable", "999", "60", "OK (1 ms)"),
        ("Reachable", "0", "60", "OK (1 ms)"),
        ("Reachable", "N/A", "60", "OK (1 ms)"),
        ("Reachable", "9" * 20, "60", "OK (1 ms)"),
        ("Unreachable", "N/A", "60", "UNREACHABLE"),
        ("NonQualified", "N/A", "0", "Unmonitored"),
        ("NonQualified", "N/A", "60", "UNKNOWN"),
        ("Unknown", "N/A", "60", "UNKNOWN"),
        ("Created", "0", "60", "UNKNOWN"),
        ("", "", "", "UNKNOWN"),
    ],
)
def test_a_status_in_the_words_of_chan_sip(
    status: str, us: str, qualify: str, expected: str
) -> None:
    picture = PjsipPicture()
    endpoint(picture, "a", qualify=qualify)
    contact(picture, "a", "sip:a@192.0.2.1", Status=status, RoundtripUsec=us)
    assert prepared(picture).peers["a"].status == expected


def test_of_several_contacts_the_best_is_told_and_all_are_known() -> None:
    picture = PjsipPicture()
    endpoint(picture, "a", "home", "office")
    for aor, host, status, us in (
        ("home", "192.0.2.1", "Unreachable", "N/A"),
        ("home", "192.0.2.2", "NonQualified", "N/A"),
        ("office", "192.0.2.3", "Reachable", "90000"),
        ("office", "192.0.2.4", "Reachable", "12000"),
    ):
        contact(picture, aor, f"sip:a@{host}", Status=status, RoundtripUsec=us, UserAgent=host)
    peer = prepared(picture).peers["a"]
    assert [each.host[-1] for each in peer.contacts] == ["4", "3", "2", "1"]
    assert (peer.status, peer.useragent) == ("OK (12 ms)", "192.0.2.4")


@pytest.mark.parametrize(
    ("uri", "via", "expected"),
    [
        ("sip:a@192.0.2.1:5070", "192.0.2.1", ("192.0.2.1", "5070", "192.0.2.1")),
        ("sip:a@192.0.2.1", "192.0.2.1", ("192.0.2.1", "5060", "192.0.2.1")),
        ("sip:a@10.0.0.7:5070", "192.0.2.9", ("192.0.2.9", "5061", "10.0.0.7")),
        ("sip:a@[2001:db8::1]:5070", "2001:DB8::1", ("2001:db8::1", "5070", "2001:db8::1")),
        ("sip:a@abc.invalid", "abc.invalid", ("abc.invalid", "5060", "abc.invalid")),
        ("sip:a@192.0.2.1:5070", "abc.invalid", ("192.0.2.1", "5070", "192.0.2.1")),
        (
            "sip:a@203.0.113.5:41822;x-ast-orig-host=10.0.0.7:5060",
            "10.0.0.7",
            ("203.0.113.5", "41822", "10.0.0.7"),
        ),
        ("nonsense", "", ("", "5060", "")),
    ],
)
def test_where_it_registered_from_and_what_it_says_itself(
    uri: str, via: str, expected: tuple[str, str, str]
) -> None:
    picture = PjsipPicture()
    endpoint(picture, "a")
    contact(picture, "a", uri, ViaAddr=via, ViaPort="5061")
    (where,) = prepared(picture).peers["a"].contacts
    assert (where.host, where.port, where.contact) == expected


def test_a_via_without_a_port_is_at_the_usual_one() -> None:
    picture = PjsipPicture()
    endpoint(picture, "a")
    contact(picture, "a", "sip:a@10.0.0.7:5070", ViaAddr="192.0.2.9", ViaPort="0")
    assert prepared(picture).peers["a"].contacts[0].port == "5060"


def test_a_new_list_keeps_what_it_cannot_know_and_what_happened_meanwhile() -> None:
    before, after = pjsip_picture(), PjsipPicture()
    details = message("EndpointDetail", ObjectName="upc", FromUser="labtrunk")
    status = message(
        "ContactStatusDetail", AOR="upc", URI="sip:127.0.0.2:25990", Status="Reachable"
    )
    before.take_details("upc", [details, status])
    for name, take in (("EndpointList", after.take_endpoint), ("AorList", after.take_aor)):
        for each in of_event("22", "pjsip-endpoints", name):
            take(each.fields)
    for each in of_event("22", "pjsip-endpoints", "ContactList"):
        after.take_contact(each.fields)
    prepared(after, before)
    assert after.peers["upc"].status == "OK (1 ms)"
    assert after.peers["upc"].users == ("labtrunk",)
    uri = "sip:Linka_1000@127.0.0.1:25100"
    before.apply({"AOR": "Linka_1000", "URI": uri, "ContactStatus": "Removed"})
    after.adopt(before, ["Linka_1000", "nobody"])
    assert not after.peers["Linka_1000"].is_registered
    assert after.peers["Linka_1001"].is_registered


def test_what_has_no_name_is_nobody() -> None:
    picture = PjsipPicture()
    picture.take_endpoint({"Aor": "a"})
    assert picture.endpoints == {}


def test_in_a_long_list_others_may_go_on() -> None:
    picture = PjsipPicture()
    for number in range(2 * CHUNK + 1):
        endpoint(picture, str(number))
    assert len(list(picture.prepare(PjsipPicture()))) == 2
