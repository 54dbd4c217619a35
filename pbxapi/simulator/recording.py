"""MixMonitor: the events of a recording; no file is written.

A recording that ends with its channel ends without an event, as in Asterisk; StopMixMonitor tells.
Source: captures mixmonitor.ami of both versions; Asterisk apps/app_mixmonitor.c,
mixmonitor_exec(), stop_mixmonitor_full(), manager_stop_mixmonitor().
"""

from typing import Final

from pbxapi.simulator import classes
from pbxapi.simulator.actions import Command
from pbxapi.simulator.channels import Channel
from pbxapi.simulator.conversation import Conversation
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.wire import Action

FILENAME: Final = "MIXMONITOR_FILENAME"


def start(pbx: Pbx, channel: Channel, path: str, options: str) -> None:
    """The application MixMonitor."""
    pbx.run_application(channel, "MixMonitor", f"{path},{options}")
    pbx.set_variable(channel, FILENAME, path)
    channel.recorded = True
    pbx.tell("MixMonitorStart", channel)


def stop_mix_monitor(conversation: Conversation, action: Action) -> None:
    """StopMixMonitor."""
    pbx, name = conversation.pbx, action.get("Channel")
    channel = pbx.channels.get(name)
    if not name:
        conversation.error(action, "No channel specified")
    elif channel is None:
        conversation.error(action, "No such channel")
    elif not channel.recorded:
        conversation.error(action, "Could not stop monitoring channel")
    else:
        channel.recorded = False
        pbx.tell("MixMonitorStop", channel)
        conversation.respond(action, "Success")


#: The actions of this module.
RECORDING_COMMANDS: Final = (
    Command(
        "StopMixMonitor",
        "Stop recording a call through MixMonitor, and free the recording's file handle.",
        classes.SYSTEM | classes.CALL,
        stop_mix_monitor,
    ),
)
