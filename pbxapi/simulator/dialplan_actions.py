"""The manager action ShowDialPlan.

Of each extension only priority 1 is listed; a client that looks for a context needs no more.
Source: Asterisk main/pbx.c, manager_show_dialplan() and its helper, 16 to 22.
"""

from typing import Final

from pbxapi.simulator import classes
from pbxapi.simulator.actions import Command
from pbxapi.simulator.conversation import Conversation, id_line
from pbxapi.simulator.wire import Action


def show_dialplan(conversation: Conversation, action: Action) -> None:
    """ShowDialPlan, of one context and extension or of all."""
    dialplan = conversation.pbx.dialplan
    context, exten = action.get("Context"), action.get("Extension")
    known = [context] if context else dialplan.contexts()
    found = [(name, e) for name in known for e in dialplan.extensions(name)]
    if context and not found:
        conversation.error(action, f"Did not find context {context}")
        return
    if exten:
        found = [
            (name, e)
            for name, e in found
            if dialplan.exists(name, exten) and (e.exten == exten or e.exten.startswith("_"))
        ]
    if not found:
        where = f"@{context}" if context else " in any context"
        conversation.error(action, f"Did not find extension {exten}{where}")
        return
    conversation.list_start(action, "DialPlan list will follow")
    for name, extension in found:
        conversation.list_item(
            f"Event: ListDialplan\r\n{id_line(action)}Context: {name}\r\n"
            f"Extension: {extension.exten}\r\nPriority: 1\r\n"
            f"Application: {extension.application}\r\nAppData: {extension.data}\r\n"
            "Registrar: pbx_config\r\n"
        )
    counts = (
        f"ListExtensions: {len(found)}\r\nListPriorities: {len(found)}\r\n"
        f"ListContexts: {len(known)}\r\n"
    )
    conversation.list_complete(action, "ShowDialPlanComplete", len(found), counts)


#: The actions of this module.
DIALPLAN_COMMANDS: Final = (
    Command(
        "ShowDialPlan",
        "Show dialplan contexts and extensions",
        classes.CONFIG | classes.REPORTING,
        show_dialplan,
    ),
)
