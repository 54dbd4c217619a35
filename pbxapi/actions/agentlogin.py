"""`agentlogin`: an agent takes calls of his queues at a line."""

from typing import Final

from pbxapi.actions.agent import CREDENTIALS, agent_of
from pbxapi.actions.choice import LineChoice, choose_line
from pbxapi.actions.ports import Ports
from pbxapi.actions.registry import Parameters, Result, action

_SOURCE: Final = LineChoice(
    public_num="srcExtenPublicNum",
    internal_num="srcExtenInternalNum",
    id="srcExtenId",
    sip_username="srcSipUsername",
    dialplans=("dialplanName", "dialPlanName"),
    conflict=501,
    ambiguous=502,
    missing=503,
    no_dialplan=504,
)


@action(
    "agentlogin",
    permission="callcenter",
    required=(*CREDENTIALS, _SOURCE.selectors),
    optional=_SOURCE.dialplans,
    errors=(500, *_SOURCE.errors, 904),
)
async def agentlogin(ports: Ports, params: Parameters) -> Result:
    """Make him a member of all his queues, from that line alone."""
    agent = await agent_of(ports, params, 500)
    line = await choose_line(_SOURCE, params, ports.lines)
    await ports.call_centre.desk.log_in(agent.id, line)
    return Result()
