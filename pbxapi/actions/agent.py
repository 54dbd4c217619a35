"""What the actions of agents have in common: who the agent is, and which queue is meant."""

from collections.abc import Mapping
from typing import Final

from pbxapi.actions.ports import Ports
from pbxapi.agents.pins import WrongPin
from pbxapi.directory.agent import Agent, Queue
from pbxapi.faults import Fault

#: Parameters that every one of them needs.
CREDENTIALS: Final = ("agentNumber", "agentPin")


async def agent_of(ports: Ports, params: Mapping[str, str], code: int) -> Agent:
    """The agent whose number and PIN these are.

    Raises:
        Fault: with this code, if there is none; 903, too many guesses.
        DatabaseUnavailable: there is no knowing.
    """
    try:
        return await ports.call_centre.pins.authenticate(
            params["agentNumber"], params["agentPin"], ports.client.address
        )
    except WrongPin:
        raise Fault(code) from None


async def queue_of(ports: Ports, params: Mapping[str, str], code: int) -> Queue:
    """The queue that the request names; the directory tells which there are.

    Raises:
        Fault: with this code, if there is none.
        DatabaseUnavailable: there is no knowing.
    """
    name = params["queueName"]
    queue = await ports.call_centre.desk.queue_by_name(name)
    if queue is None:
        raise Fault(code, queue=name)
    return queue
