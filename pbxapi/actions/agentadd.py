"""`agentadd` and `agentremove`: which queues an agent serves, for good."""

from pbxapi.actions.agent import CREDENTIALS, agent_of, queue_of
from pbxapi.actions.ports import Ports
from pbxapi.actions.registry import Parameters, Result, action
from pbxapi.actions.values import whole_number


@action(
    "agentadd",
    permission="callcenter",
    required=(*CREDENTIALS, "queueName"),
    optional=("penalty",),
    errors=(601, 600, 904),
)
async def agentadd(ports: Ports, params: Parameters) -> Result:
    """Assign him to the queue, or change his penalty there; at once if he is logged in."""
    agent = await agent_of(ports, params, 601)
    queue = await queue_of(ports, params, 600)
    await ports.call_centre.desk.assign(agent.id, queue, whole_number(params, "penalty"))
    return Result()


@action(
    "agentremove",
    permission="callcenter",
    required=(*CREDENTIALS, "queueName"),
    errors=(611, 610, 904),
)
async def agentremove(ports: Ports, params: Parameters) -> Result:
    """Take him from the queue; one who does not serve it goes on not to."""
    agent = await agent_of(ports, params, 611)
    queue = await queue_of(ports, params, 610)
    await ports.call_centre.desk.unassign(agent.id, queue)
    return Result()
