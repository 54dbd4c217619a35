"""Whose an outbound registration is."""

import pytest

from pbxapi.cache.peers.peer import Contact, Key, Peer, Registration, Technology
from pbxapi.cache.peers.registrations import registration_states


def registration(
    state: str = "Registered", technology: Technology = "PJSIP", **more: str
) -> Registration:
    fields = {"name": "r", "endpoint": "", "host": "", "user": "", "auth": "", **more}
    return Registration(technology=technology, state=state, **fields)


def trunk(*hosts: str, users: tuple[str, ...] = ()) -> Peer:
    return Peer((), "Unmonitored", "", "", hosts, users)


ONE = Key("PJSIP", "one")
TWO = Key("PJSIP", "two")
OLD = Key("SIP", "old")


@pytest.mark.parametrize(
    "sign",
    [
        {"endpoint": "one"},
        {"name": "one"},
        {"name": "one-reg-0"},
        {"name": "one-registration"},
        {"host": "sip.one.example"},
        {"host": "SIP.ONE.example"},
        {"host": "192.0.2.1"},
    ],
)
def test_each_sign_alone(sign: dict[str, str]) -> None:
    where = Contact("192.0.2.1", "5060", "UNKNOWN", 0, "")
    trunks = {
        ONE: Peer((where,), "UNKNOWN", "", "", ("sip.one.example",)),
        TWO: trunk("sip.two.example"),
    }
    assert registration_states([registration("Registered", "PJSIP", **sign)], trunks) == {
        ONE: "Registered"
    }


def test_an_endpoint_that_is_no_trunk_of_ours_is_nobody_s() -> None:
    other = registration(endpoint="other", name="one", host="sip.one.example")
    assert registration_states([other], {ONE: trunk("sip.one.example")}) == {}


def test_two_trunks_at_one_provider_are_told_by_the_user() -> None:
    trunks = {
        ONE: trunk("sip.example", users=("420111", "auth-1")),
        TWO: trunk("sip.example", users=("420222",)),
    }
    found = registration_states(
        [
            registration("Rejected", host="sip.example", user="420222"),
            registration("Registered", host="sip.example", auth="auth-1", user="x"),
        ],
        trunks,
    )
    assert found == {ONE: "Registered", TWO: "Rejected"}


def test_where_two_trunks_fit_nobody_s_is_better_than_somebody_else_s() -> None:
    trunks = {ONE: trunk("sip.example"), TWO: trunk("sip.example")}
    assert registration_states([registration(host="sip.example")], trunks) == {}
    both = {ONE: trunk("sip.example", users=("u",)), TWO: trunk("sip.example", users=("u",))}
    assert registration_states([registration(host="sip.example", user="u")], both) == {}


def test_a_plainer_sign_beats_a_weaker_one() -> None:
    found = registration_states(
        [
            registration("Rejected", host="sip.example", user="somebody"),
            registration("Registered", endpoint="one"),
        ],
        {ONE: trunk("sip.example")},
    )
    assert found == {ONE: "Registered"}


def test_of_several_the_first_that_is_not_registered_is_shown() -> None:
    found = registration_states(
        [
            registration("Registered", endpoint="one"),
            registration("Unregistered", endpoint="one"),
            registration("Rejected", endpoint="one"),
        ],
        {ONE: trunk()},
    )
    assert found == {ONE: "Unregistered"}


def test_chan_sip_registers_at_a_peer_by_name() -> None:
    at_peer = registration("Auth. Sent", "SIP", name="", host="old", user="420111")
    assert registration_states([at_peer], {OLD: trunk(), ONE: trunk("old")}) == {OLD: "Auth. Sent"}


def test_a_driver_knows_nothing_of_the_other_s_trunks() -> None:
    trunks = {OLD: trunk("sip.example"), Key("SIP", "one"): trunk()}
    assert registration_states([registration(host="sip.example", name="one")], trunks) == {}
    assert registration_states([registration(host="", name="")], trunks) == {}
