"""`agentstatus`: whether an agent is logged in, and what his telephone does."""

from typing import Final

from pbxapi.actions.agent import CREDENTIALS, agent_of
from pbxapi.actions.line_words import LINE_WORDS
from pbxapi.actions.ports import Ports
from pbxapi.actions.registry import Parameters, Result, action
from pbxapi.cache.device_state import DeviceState
from pbxapi.faults import Fault

#: Code for a line that is not free (seed, "Chyby při zjištění stavu agenta").
_CODES: Final[dict[DeviceState, int]] = {
    DeviceState.UNAVAILABLE: 631,
    DeviceState.INVALID: 631,
    DeviceState.INUSE: 632,
    DeviceState.RINGING: 633,
    DeviceState.ONHOLD: 634,
    DeviceState.RINGINUSE: 635,
    DeviceState.UNKNOWN: 635,
    DeviceState.BUSY: 636,
}
#: … for a line at which there is no telephone.
_NO_TELEPHONE: Final = 630
#: States in which it has to be asked whether there is a telephone at all.
_SILENT: Final = frozenset({DeviceState.UNAVAILABLE, DeviceState.INVALID, DeviceState.UNKNOWN})


@action(
    "agentstatus",
    permission="callcenter",
    required=CREDENTIALS,
    errors=(620, _NO_TELEPHONE, *sorted(set(_CODES.values()))),
    reads_only=True,
)
async def agentstatus(ports: Ports, params: Parameters) -> Result:
    """Say it in the vendor's words, or, if the operator wants it so, by a code."""
    agent = await agent_of(ports, params, 620)
    if agent.login is None:
        return Result({"reason": f"Agent {agent.number} is logged out."})
    account = agent.login.account
    state = ports.peers.device_state(account.technology, account.sip_username)
    if ports.call_centre.status_mode == "errno" and state is not DeviceState.NOT_INUSE:
        is_there = state not in _SILENT or ports.peers.is_registered(
            account.technology, account.sip_username
        )
        raise Fault(_CODES[state] if is_there else _NO_TELEPHONE)
    return Result({"reason": f"Agent {agent.number} is logged in. {LINE_WORDS[state]}"})
