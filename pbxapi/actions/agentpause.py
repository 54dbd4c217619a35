"""`agentpause` and `agentunpause`: an agent gets no calls for a while, and gets them again."""

from pbxapi.actions.agent import CREDENTIALS, agent_of
from pbxapi.actions.ports import Ports
from pbxapi.actions.registry import Parameters, Result, action


@action("agentpause", permission="callcenter", required=CREDENTIALS, errors=(580, 904))
async def agentpause(ports: Ports, params: Parameters) -> Result:
    """Pause him in all his queues, until he goes on or logs out."""
    agent = await agent_of(ports, params, 580)
    await ports.call_centre.desk.set_paused(agent.id, True)
    return Result()


@action("agentunpause", permission="callcenter", required=CREDENTIALS, errors=(590, 904))
async def agentunpause(ports: Ports, params: Parameters) -> Result:
    """Let him get calls of all his queues again."""
    agent = await agent_of(ports, params, 590)
    await ports.call_centre.desk.set_paused(agent.id, False)
    return Result()
