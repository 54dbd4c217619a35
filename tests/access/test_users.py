"""What a user may do, and where it may come from."""

import ipaddress

import pytest
from structlog.testing import capture_logs

from pbxapi.access.users import PERMISSIONS, ApiUser, read_user
from pbxapi.faults import Fault


def user(*networks: str) -> ApiUser:
    return ApiUser(
        id=1,
        username="voipsun",
        permissions=frozenset({"listcalls"}),
        networks=tuple(ipaddress.ip_network(network) for network in networks),
    )


def row(**changes: object) -> dict[str, object]:
    return {
        "id": 1,
        "username": "voipsun",
        "password_hash": "$argon2id$x",
        "permissions": ["listcalls", "hangup"],
        "enabled": True,
        "networks": [],
        **changes,
    }


def test_a_permission_that_is_missing_is_a_fault() -> None:
    user().require("listcalls")
    with pytest.raises(Fault) as caught:
        user().require("hangup")
    assert caught.value.code == 100


@pytest.mark.parametrize("address", [None, "10.0.0.1", "2001:db8::1"])
def test_a_user_without_networks_comes_from_anywhere(address: str | None) -> None:
    assert user().may_come_from(None if address is None else ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("10.1.2.3", True),
        ("10.2.0.0", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:10.2.0.0", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        (None, False),
    ],
)
def test_a_user_with_networks_comes_from_these(address: str | None, may: bool) -> None:
    found = None if address is None else ipaddress.ip_address(address)

    assert user("10.1.0.0/16", "2001:db8::/32").may_come_from(found) is may


def test_a_row_becomes_a_user() -> None:
    stored = read_user(row(networks=["10.0.0.0/8"]))

    assert stored is not None
    assert stored.enabled
    assert stored.user.permissions == {"listcalls", "hangup"}
    assert stored.user.networks == (ipaddress.ip_network("10.0.0.0/8"),)


def test_nulls_of_a_view_allow_nothing() -> None:
    stored = read_user(row(permissions=None, networks=None, enabled=None, password_hash=None))

    assert stored is not None
    assert (stored.enabled, stored.password_hash) == (False, "")
    assert stored.user.permissions == frozenset()


def test_permissions_that_nobody_knows_are_ignored() -> None:
    stored = read_user(row(permissions=["root", "listcalls", None]))

    assert stored is not None
    assert stored.user.permissions == {"listcalls"}


@pytest.mark.parametrize("network", ["everywhere", "10.0.0.1/8", None])
def test_a_network_that_cannot_be_read_does_not_mean_anywhere(network: str | None) -> None:
    with capture_logs() as logs:
        assert read_user(row(networks=["10.0.0.0/8", network])) is None
    assert [entry["event"] for entry in logs] == ["access.user_unreadable"]


def test_permissions_are_those_of_the_contract() -> None:
    assert {
        "originate",
        "hangup",
        "listcalls",
        "sipstatus",
        "spying",
        "callcenter",
        "moverecord",
        "dtmf",
        "metrics",
    } == PERMISSIONS
