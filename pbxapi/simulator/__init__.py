"""An Asterisk that is not one: speaks AMI on a real socket, for demos, tests and load.

It shares no code with `pbxapi.ami`: two ends that are written twice cannot agree on an error.

    options.py          what can be chosen
    server.py           Simulator: the socket, calls to order, accidents
    session.py          one connection            wire.py     actions cut out of bytes
    conversation.py     who may do what           manager.py  the table of actions
    actions.py, channel_actions.py, dialplan_actions.py, state_actions.py,
    sip_actions.py, pjsip_actions.py                          their handlers
    pbx.py, channels.py, events.py                state, and the events of its changes
    dialplan.py, dial.py, local.py, originate.py, transfers.py, phones.py, recording.py   calls
    subroutines.py, click_to_call.py, call_into_context.py, spying.py   this project's dial plan
    devices.py, peer.py, peers.py                 phones and trunks, and where they are
    device_states.py                              what they do
    queue_config.py, queue_state.py, queues.py    queues: their configuration, arithmetic, members
    queue_call.py, queue_actions.py               calls that wait in them; their actions
    fastagi.py          what a call asks of a FastAGI server
    cdr.py              the rows that calls leave
    scheduler.py, clock.py                        threads and time
    load.py, peer_life.py, agent_life.py          random traffic, phones and agents
    moments.py          when such things happen
"""

from pbxapi.simulator.cdr import CdrRow
from pbxapi.simulator.clock import VirtualClock
from pbxapi.simulator.options import Behaviour, Device, ManagerUser, SimulatorOptions
from pbxapi.simulator.queue_config import MemberConfig, QueueConfig, call_centre
from pbxapi.simulator.server import Received, Simulator, run

__all__ = [
    "Behaviour",
    "CdrRow",
    "Device",
    "ManagerUser",
    "MemberConfig",
    "QueueConfig",
    "Received",
    "Simulator",
    "SimulatorOptions",
    "VirtualClock",
    "call_centre",
    "run",
]
