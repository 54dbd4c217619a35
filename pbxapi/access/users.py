"""API users: what one may do, and where it may come from."""

import ipaddress
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from pbxapi.faults import Fault

#: What a user can be allowed (contract, section 3).
PERMISSIONS: Final = frozenset(
    {
        "originate",
        "hangup",
        "listcalls",
        "sipstatus",
        "spying",
        "callcenter",
        "moverecord",
        "dtmf",
        "metrics",
    }
)

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_log = structlog.get_logger()


class Row(Protocol):
    """A row of a result: columns by name."""

    def __getitem__(self, column: str, /) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiUser:
    """A user who has proven to be this user.

    Attributes:
        networks: Where it may come from; from anywhere where this is empty.
    """

    id: int
    username: str
    permissions: frozenset[str]
    networks: tuple[IpNetwork, ...] = ()

    def may_come_from(self, address: IpAddress | None) -> bool:
        """Whether the user may come from there; None is an address that nobody knows."""
        if not self.networks:
            return True
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        return address is not None and any(address in network for network in self.networks)

    def require(self, permission: str) -> None:
        """Pass if the user has this permission.

        Raises:
            Fault: 100, if not.
        """
        if permission not in self.permissions:
            raise Fault(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUser:
    """A row of `api_users`: who the user will be once the password is right."""

    user: ApiUser
    password_hash: str
    enabled: bool


def read_user(row: Row) -> StoredUser | None:
    """The user that a row describes; None, and a line in the log, where it describes none.

    A row of a view may hold anything. Whatever in it cannot be understood lets nobody in.
    """
    try:
        networks = tuple(ipaddress.ip_network(text) for text in row["networks"] or ())
    except ValueError as error:
        _log.error("access.user_unreadable", username=row["username"], error=str(error))
        return None
    user = ApiUser(
        id=row["id"],
        username=row["username"],
        permissions=PERMISSIONS.intersection(row["permissions"] or ()),
        networks=networks,
    )
    return StoredUser(
        user=user, password_hash=row["password_hash"] or "", enabled=row["enabled"] is True
    )
