"""`agentlogout`: an agent takes no more calls."""

from pbxapi.actions.agent import CREDENTIALS, agent_of
from pbxapi.actions.ports import Ports
from pbxapi.actions.registry import Parameters, Result, action


@action("agentlogout", permission="callcenter", required=CREDENTIALS, errors=(550, 904))
async def agentlogout(ports: Ports, params: Parameters) -> Result:
    """Take him out of all queues; one who is logged out already stays so."""
    agent = await agent_of(ports, params, 550)
    await ports.call_centre.desk.log_out(agent.id)
    return Result()
