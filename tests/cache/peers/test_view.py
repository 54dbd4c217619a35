"""PeerList: what agents' lines are asked for."""

import pytest

from pbxapi.cache.device_state import DeviceState
from pbxapi.cache.peers.store import PeerStore
from pbxapi.cache.peers.view import PeerList
from pbxapi.errors import PbxUnavailable


def device(store: PeerStore, name: str, state: str) -> None:
    store.device_state_change(name, state)


@pytest.fixture
def store() -> PeerStore:
    made = PeerStore()
    listed = made.begin_list()
    for name, host, status in (
        ("here", "192.0.2.1", "OK (1 ms)"),
        ("silent", "192.0.2.2", "UNREACHABLE"),
        ("away", "-none-", "UNKNOWN"),
    ):
        listed.sip.take_peer(
            {"ObjectName": name, "IPaddress": host, "IPport": "5060", "Status": status}
        )
    listed.pjsip.take_endpoint({"ObjectName": "p", "Aor": "p", "DeviceState": "In use"})
    listed.pjsip.take_endpoint({"ObjectName": "odd", "Aor": "odd", "DeviceState": "?"})
    assert list(made.prepare(listed)) == []
    made.replace(listed)
    made.freshness.listed()
    return made


@pytest.mark.parametrize(
    ("technology", "name", "expected"),
    [
        ("SIP", "here", DeviceState.NOT_INUSE),
        ("SIP", "silent", DeviceState.UNAVAILABLE),
        ("SIP", "away", DeviceState.UNAVAILABLE),
        ("SIP", "nobody", DeviceState.INVALID),
        ("PJSIP", "here", DeviceState.INVALID),
        ("PJSIP", "p", DeviceState.INUSE),
        ("PJSIP", "odd", DeviceState.UNAVAILABLE),
    ],
)
def test_a_device_that_asterisk_has_not_listed(
    store: PeerStore, technology: str, name: str, expected: DeviceState
) -> None:
    peers = PeerList(store)
    assert peers.device_state("SIP" if technology == "SIP" else "PJSIP", name) is expected


def test_a_device_that_asterisk_tells_of(store: PeerStore) -> None:
    peers = PeerList(store)
    for state in DeviceState:
        device(store, "SIP/here", state.name)
        if state is not DeviceState.UNKNOWN:
            assert peers.device_state("SIP", "here") is state
    device(store, "Local/x@y", "INUSE")
    device(store, "PJSIP/p", "RINGING")
    assert peers.device_state("PJSIP", "p") is DeviceState.RINGING


def test_a_state_that_is_unknown_is_told_by_the_peer(store: PeerStore) -> None:
    device(store, "SIP/here", "UNKNOWN")
    assert PeerList(store).device_state("SIP", "here") is DeviceState.NOT_INUSE


def test_who_is_registered(store: PeerStore) -> None:
    peers = PeerList(store)
    registered = [
        name for name in ("here", "silent", "away", "x") if peers.is_registered("SIP", name)
    ]
    assert registered == ["here", "silent"]
    assert not peers.is_registered("PJSIP", "here")


def test_nothing_is_told_that_is_not_known() -> None:
    for store in (PeerStore(),):
        peers = PeerList(store, lambda: 1000.0)
        with pytest.raises(PbxUnavailable):
            peers.is_registered("SIP", "a")
        with pytest.raises(PbxUnavailable):
            peers.device_state("SIP", "a")
        with pytest.raises(PbxUnavailable):
            list(peers.states([], []))


def test_nor_what_is_too_old(store: PeerStore) -> None:
    store.session_lost(1000.0)
    assert PeerList(store, lambda: 1029.0).is_registered("SIP", "here")
    with pytest.raises(PbxUnavailable):
        PeerList(store, lambda: 1031.0).is_registered("SIP", "here")
