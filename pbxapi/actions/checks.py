"""`checkIpHost`, `checkIpContact`, `checkExten`: is the telephone where it should be, and free?

Each account of the line is checked in the order of the codes. The call rings those that pass: the
others are busy, gone, or not at that address, and ringing them was not asked for. Where none passes
the fault is that of the first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pbxapi.actions.ports import Ports
from pbxapi.cache.peers.peer import UNSPECIFIED, Peer
from pbxapi.cache.peers.sip_uri import IpAddress, as_ip
from pbxapi.directory.account import Account
from pbxapi.directory.lines import Line
from pbxapi.errors import PbxUnavailable
from pbxapi.faults import Fault

CHECKS: Final = ("checkExten", "checkIpHost", "checkIpContact")

#: The fault for a channel in each of Asterisk's states; source of the order: include/asterisk/
#: channelstate.h, enum ast_channel_state, of the words: main/channel.c, ast_state2str(), 16 to 22.
_STATES: Final = {
    "Down": 228,
    "Rsrvd": 221,
    "OffHook": 222,
    "Dialing": 223,
    "Ring": 224,
    "Ringing": 225,
    "Up": 226,
    "Busy": 227,
}
#: Codes of what does not pass: another address, another contact, not there, not free.
CHECK_ERRORS: Final = (210, 211, 220, *sorted(_STATES.values()))
#: "Dialing Offhook", "Pre-ring" and what else Asterisk may say: somebody is at it.
_OTHER_STATE: Final = 227


@dataclass(frozen=True, slots=True)
class Checks:
    """What a request wants to be sure of; addresses as given and as they are meant."""

    exten: bool
    host: tuple[str, IpAddress] | None
    contact: tuple[str, IpAddress] | None

    @property
    def wanted(self) -> bool:
        """Whether there is anything to check."""
        return self.exten or self.host is not None or self.contact is not None


def wanted_checks(params: Mapping[str, str]) -> Checks:
    """The checks that a request asks for.

    Raises:
        Fault: 902 for an address that is none.
    """
    return Checks(
        exten="checkExten" in params,
        host=_address(params, "checkIpHost"),
        contact=_address(params, "checkIpContact"),
    )


def _address(params: Mapping[str, str], name: str) -> tuple[str, IpAddress] | None:
    if name not in params:
        return None
    address = as_ip(params[name])
    if address is None:
        raise Fault(902, name=name)
    return params[name], address


def passing(ports: Ports, line: Line, checks: Checks) -> Line:
    """The line with those of its accounts that pass.

    Raises:
        Fault: 210, 211, 220 to 228: why its first account did not, where none does.
        PbxUnavailable: the cache is too old to tell, or a contact has changed this very moment.
    """
    if not checks.wanted:
        return line
    faults = [_fault(ports, account, checks) for account in line.accounts]
    accounts = [a for a, fault in zip(line.accounts, faults, strict=True) if fault is None]
    if not accounts:
        raise next(fault for fault in faults if fault is not None)
    return replace(line, accounts=tuple(accounts))


def _fault(ports: Ports, account: Account, checks: Checks) -> Fault | None:
    peer = ports.peers.peer(account.technology, account.sip_username)
    channel = f"{account.technology}/{account.sip_username}"
    if checks.host is not None:
        hosts = [contact.host for contact in peer.contacts]
        if not _has(hosts, checks.host[1]):
            return _mismatch(210, channel, hosts, checks.host[0])
    if checks.contact is not None:
        contacts = _contacts(peer, channel)
        if not _has(contacts, checks.contact[1]):
            return _mismatch(211, channel, contacts, checks.contact[0])
    return _line_fault(ports, account, peer) if checks.exten else None


def _contacts(peer: Peer, channel: str) -> list[str]:
    if peer.contacts and not peer.detailed:
        raise PbxUnavailable(f"the contact of {channel} is being asked for")
    return [contact.contact for contact in peer.contacts if contact.contact]


def _has(hosts: Iterable[str], address: IpAddress) -> bool:
    return any(as_ip(host) == address for host in hosts)


def _mismatch(code: int, channel: str, hosts: list[str], requested: str) -> Fault:
    actual = hosts[0] if hosts else UNSPECIFIED
    return Fault(code, channel=channel, actual=actual, requested=requested)


def _line_fault(ports: Ports, account: Account, peer: Peer) -> Fault | None:
    if not peer.answers:
        return Fault(220)
    states = ports.states_of(account.technology, account.sip_username)
    return Fault(_STATES.get(states[0], _OTHER_STATE)) if states else None
