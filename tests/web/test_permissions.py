"""Each action needs exactly its own permission, and comes from the user's networks only."""

import ipaddress
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from pbxapi.access.users import PERMISSIONS, ApiUser, IpAddress
from pbxapi.actions import ACTIONS
from pbxapi.config import Listen
from pbxapi.faults import Fault
from pbxapi.web.app import LegacyApi, make_app
from pbxapi.web.server import serving
from tests.contract.world import make_ports
from tests.web.http_client import PATH, ask

#: The contract, section 3.
NEEDED: Final = {
    "originate": "originate",
    "dial": "originate",
    "hangupcall": "hangup",
    "listcalls": "listcalls",
    "sipstatus": "sipstatus",
    "spying": "spying",
    "moverecord": "moverecord",
    "queuestatus": "callcenter",
    **{name: "callcenter" for name in ACTIONS if name.startswith("agent")},
}
REFUSED: Final = {
    "success": "false",
    "errno": "100",
    "reason": "Unauthorized user or bad permissions",
}


class Gate:
    """Lets one user in, with the permissions and networks that are set."""

    def __init__(self) -> None:
        self.permissions: frozenset[str] = frozenset()
        self.networks: tuple[str, ...] = ()

    async def authenticate(
        self, username: str, _password: str, address: IpAddress | None, /
    ) -> ApiUser:
        user = ApiUser(
            id=1,
            username=username,
            permissions=self.permissions,
            networks=tuple(map(ipaddress.ip_network, self.networks)),
        )
        if not user.may_come_from(address):
            raise Fault(100)
        return user


async def answer(port: int, action: str, *headers: bytes) -> Mapping[str, Any]:
    query = urlencode({"username": "u", "password": "p", "action": action})
    return (await ask(port, query.encode(), *headers)).data


def test_every_action_is_in_the_table() -> None:
    assert set(NEEDED) == set(ACTIONS)
    assert set(NEEDED.values()) <= PERMISSIONS


async def test_each_action_needs_exactly_its_own_permission() -> None:
    """What passes comes to the next check, for its parameters, or is answered."""
    gate = Gate()
    ports, _ = make_ports({})
    refused: set[tuple[str, str]] = set()
    async with serving(make_app(LegacyApi(ports, gate, ()), PATH), Listen("127.0.0.1", 0)) as url:
        port = int(url.rpartition(":")[2])
        for action in ACTIONS:
            for permission in ("", *PERMISSIONS):
                gate.permissions = frozenset({permission})
                if await answer(port, action) == REFUSED:
                    refused.add((action, permission))
            gate.permissions = PERMISSIONS - {NEEDED[action]}
            assert await answer(port, action) == REFUSED
    assert refused == {
        (action, permission)
        for action in ACTIONS
        for permission in ("", *PERMISSIONS)
        if permission != NEEDED[action]
    }


@pytest.mark.parametrize(
    ("networks", "forwarded", "is_in"),
    [
        ((), b"", True),
        (("192.0.2.0/24",), b"192.0.2.9", True),
        (("192.0.2.0/24",), b"198.51.100.1", False),
        (("192.0.2.0/24",), b"192.0.2.9, 198.51.100.1", False),
        (("192.0.2.0/24",), b"198.51.100.1, 192.0.2.9", True),
        (("192.0.2.0/24",), b"192.0.2.9, 127.0.0.9", True),
        (("192.0.2.0/24",), b"::ffff:192.0.2.9", True),
        (("2001:db8::/32", "192.0.2.0/24"), b"2001:db8::1", True),
        (("192.0.2.0/24",), b"192.0.2.9, nonsense", False),
        (("192.0.2.0/24",), b"", False),
        (("127.0.0.1/32",), b"", True),
    ],
)
async def test_a_user_comes_from_his_networks_only_as_the_proxies_that_are_trusted_say(
    networks: tuple[str, ...], forwarded: bytes, is_in: bool
) -> None:
    gate = Gate()
    gate.permissions, gate.networks = PERMISSIONS, networks
    ports, _ = make_ports({})
    api = LegacyApi(ports, gate, (ipaddress.ip_network("127.0.0.0/8"),))
    headers = (b"X-Forwarded-For: " + forwarded,) if forwarded else ()
    async with serving(make_app(api, PATH), Listen("127.0.0.1", 0)) as url:
        got = await answer(int(url.rpartition(":")[2]), "listcalls", *headers)
    assert (got != REFUSED) == is_in


async def test_what_a_stranger_says_in_the_header_counts_for_nothing() -> None:
    gate = Gate()
    gate.permissions, gate.networks = PERMISSIONS, ("192.0.2.0/24",)
    ports, _ = make_ports({})
    async with serving(make_app(LegacyApi(ports, gate, ()), PATH), Listen("127.0.0.1", 0)) as url:
        port = int(url.rpartition(":")[2])
        assert await answer(port, "listcalls", b"X-Forwarded-For: 192.0.2.9") == REFUSED
