"""`sipstatus`: how all SIP accounts and trunks are registered, from memory alone.

The vendor's page: a row's id is that of its table's row times ten, and a last digit that tells the
table; all numbers but `port` and the ids at the end are bare.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from pbxapi.actions.kept import KeptRows
from pbxapi.actions.ports import Ports
from pbxapi.actions.registry import Parameters, Result, action
from pbxapi.cache.peers.peer import Key
from pbxapi.cache.peers.view import PeerState
from pbxapi.directory.devices import Device

#: Kind of device → what the answer calls it, and the last digit of its id.
_TABLES: Final = {"extension": ("extension_line", 2), "trunk": ("sip", 1)}


@action("sipstatus", permission="sipstatus", reads_only=True)
async def sipstatus(ports: Ports, _params: Parameters) -> Result:
    """One row for each account of a line, by id, and then for each trunk, by id."""
    accounts, trunks = ports.devices.everybody()
    source = (accounts, trunks, ports.peers.sources(accounts, trunks))
    rows = KeptRows("", source, lambda: _parts(ports, accounts, trunks), row)
    return Result({"total": len(accounts) + len(trunks), "results": rows})


def _parts(
    ports: Ports, accounts: Sequence[Device], trunks: Sequence[Device]
) -> list[tuple[Device, PeerState]]:
    states = ports.peers.states(map(_key, accounts), list(map(_key, trunks)))
    return list(zip(chain(accounts, trunks), states, strict=True))


def _key(device: Device) -> Key:
    return Key(device.technology, device.name)


def row(part: tuple[Device, PeerState]) -> dict[str, Any]:
    """A device as the answer has it."""
    device, state = part
    table, digit = _TABLES[device.kind]
    return {
        "id": device.id * 10 + digit,
        "type": table,
        "user": device.name,
        "host": state.host,
        "port": state.port,
        "status": state.status,
        "useragent": state.useragent,
        "regcontact": state.regcontact,
        "registry": state.registry,
        f"{table}_id": str(device.id),
    }
