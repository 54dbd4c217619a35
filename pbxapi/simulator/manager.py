"""The table of all manager actions, and what becomes of an action that comes in.

Source: Asterisk main/manager.c, process_message(), action_listcommands().
"""

from collections.abc import Mapping
from typing import Final

from pbxapi.simulator import classes
from pbxapi.simulator.actions import SESSION_COMMANDS, Command
from pbxapi.simulator.channel_actions import CHANNEL_COMMANDS
from pbxapi.simulator.conversation import Conversation
from pbxapi.simulator.dialplan_actions import DIALPLAN_COMMANDS
from pbxapi.simulator.pjsip_actions import PJSIP_COMMANDS
from pbxapi.simulator.queue_actions import QUEUE_COMMANDS
from pbxapi.simulator.recording import RECORDING_COMMANDS
from pbxapi.simulator.sip_actions import SIP_COMMANDS
from pbxapi.simulator.state_actions import STATE_COMMANDS
from pbxapi.simulator.wire import Action


def list_commands(conversation: Conversation, action: Action) -> None:
    """ListCommands: those that this user may send."""
    lines = [
        f"{command.name}: {command.synopsis}  (Priv: {classes.privilege(command.write)})\r\n"
        for _, command in sorted(COMMANDS.items())
        if command.driver in ("", conversation.pbx.options.technology)
        and (not command.write or command.write & conversation.write)
    ]
    conversation.respond(action, "Success", headers="".join(lines))


def dispatch(conversation: Conversation, action: Action) -> None:
    """Look an action up, check that the user may send it, and run it."""
    name = action.name.lower()
    if action.complaint:
        conversation.error(action, action.complaint)
    elif not name:
        conversation.error(action, "Missing action in request")
    elif conversation.user is None and name not in {"login", "logoff", "challenge"}:
        conversation.error(action, "Permission denied")
    elif (command := COMMANDS.get(name)) is None or command.driver not in (
        "",
        conversation.pbx.options.technology,
    ):
        conversation.error(
            action,
            f"Invalid/unknown command: {action.name}. "
            "Use Action: ListCommands to show available commands.",
        )
    elif command.write and not command.write & conversation.write:
        conversation.error(action, "Permission denied")
    else:
        command.run(conversation, action)


_LIST_COMMANDS: Final = Command(
    "ListCommands", "List available manager commands.", 0, list_commands
)

#: Every action by its lower-case name.
COMMANDS: Final[Mapping[str, Command]] = {
    command.name.lower(): command
    for command in (
        *SESSION_COMMANDS,
        *CHANNEL_COMMANDS,
        *DIALPLAN_COMMANDS,
        *QUEUE_COMMANDS,
        *RECORDING_COMMANDS,
        *STATE_COMMANDS,
        *SIP_COMMANDS,
        *PJSIP_COMMANDS,
        _LIST_COMMANDS,
    )
}
