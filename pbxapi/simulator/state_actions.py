"""The manager action DeviceStateList.

Source: capture states of both versions; res/res_manager_devicestate.c.
"""

from typing import Final

from pbxapi.simulator import classes
from pbxapi.simulator.actions import Command
from pbxapi.simulator.conversation import Conversation, id_line
from pbxapi.simulator.wire import Action


def device_state_list(conversation: Conversation, action: Action) -> None:
    """DeviceStateList."""
    states = conversation.pbx.device_states.listed()
    conversation.list_start(action, "Device State Changes will follow")
    for device, state in states.items():
        conversation.list_item(
            f"Event: DeviceStateChange\r\n{id_line(action)}Device: {device}\r\n"
            f"State: {state.name}\r\n"
        )
    conversation.list_complete(action, "DeviceStateListComplete", len(states))


#: The actions of this module.
STATE_COMMANDS: Final = (
    Command(
        "DeviceStateList",
        "List the current known device states.",
        classes.CALL | classes.REPORTING,
        device_state_list,
    ),
)
