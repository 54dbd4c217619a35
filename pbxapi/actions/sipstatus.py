"""`sipstatus`: how all SIP accounts and trunks are registered, from memory alone.

The vendor's page: a row's id is that of its table's row times ten, and a last digit that tells the
table; all numbers but `port` and the ids at the end are bare.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

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
    rows = list(_rows(ports, accounts, trunks))
    return Result({"total": len(rows), "results": rows})


def _rows(
    ports: Ports, accounts: Sequence[Device], trunks: Sequence[Device]
) -> Iterator[dict[str, Any]]:
    states = ports.peers.states(map(_key, accounts), list(map(_key, trunks)))
    for device, state in zip(chain(accounts, trunks), states, strict=True):
        yield _row(device, state)


def _key(device: Device) -> Key:
    return Key(device.technology, device.name)


def _row(device: Device, state: PeerState) -> dict[str, Any]:
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
