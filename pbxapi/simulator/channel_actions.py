"""The manager actions about channels: lists, Originate, Hangup, variables, transfers.

Wording and order of headers: captures of both versions, main/manager.c of Asterisk 22.
"""

import re
import zlib
from typing import Final

from pbxapi.simulator import classes, transfers
from pbxapi.simulator.actions import Command
from pbxapi.simulator.channels import STATE_WORDS, UNKNOWN, Channel, escape
from pbxapi.simulator.conversation import Conversation, id_line
from pbxapi.simulator.originate import (
    OriginateRequest,
    Origination,
    parse_caller_id,
    split_variables,
)
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.wire import Action

_MAX_UNIQUEID: Final = 149
_MAX_CAUSE: Final = 127
_DEFAULT_TIMEOUT_MS: Final = 30_000
#: Applications that Originate runs only for users with the class `system`.
_RESTRICTED: Final = re.compile(
    r"agi|dbdeltree|exec|externalivr|mixmonitor|originate|reload|system", re.IGNORECASE
)
#: Texts that the data of such an application must not have.
_RESTRICTED_DATA: Final = ("CURL", "DB", "EVAL", "FILE", "ODBC", "REALTIME", "SHELL")


def in_list_order(pbx: Pbx) -> list[Channel]:
    """Channels in an order without meaning, as Asterisk's hash of names gives them."""
    return sorted(
        pbx.channels.values(),
        key=lambda channel: zlib.crc32(channel.name.encode("utf-8", "surrogateescape")),
    )


def core_show_channels(conversation: Conversation, action: Action) -> None:
    """CoreShowChannels."""
    pbx = conversation.pbx
    now, ident, channelvars = pbx.clock.time(), id_line(action), pbx.options.channelvars
    conversation.list_start(action, "Channels will follow")
    items = in_list_order(pbx)
    for channel in items:
        seconds = int(now - channel.created)
        minutes = seconds // 60
        bridge = channel.bridge.uniqueid if channel.bridge is not None else ""
        conversation.list_item(
            f"Event: CoreShowChannel\r\n{ident}{channel.snapshot('', channelvars)}"
            f"Application: {channel.application}\r\nApplicationData: {channel.data}\r\n"
            f"Duration: {minutes // 60:02d}:{minutes % 60:02d}:{seconds % 60:02d}\r\n"
            f"BridgeId: {bridge}\r\n"
        )
    conversation.list_complete(action, "CoreShowChannelsComplete", len(items))


def status(conversation: Conversation, action: Action) -> None:
    """Status, of one channel or of all."""
    pbx, name = conversation.pbx, action.get("Channel")
    if name and name not in pbx.channels:
        conversation.error(action, "No such channel")
        return
    names = [word for word in action.get("Variables").split(",") if word]
    every = classes.is_true(action.get("AllVariables"))
    items = [pbx.channels[name]] if name else in_list_order(pbx)
    conversation.list_start(action, "Channel status will follow")
    for channel in items:
        pairs = [(name, read_variable(pbx, channel, name)) for name in names]
        if every:
            pairs += reversed(channel.variables.items())
        text = "".join(f"Variable: {name}={value or '(null)'}\r\n" for name, value in pairs)
        conversation.list_item(_describe(pbx, channel) + text + id_line(action))
    extra = f"Items: {len(items)}\r\n"
    conversation.list_complete(action, "StatusComplete", len(items), extra)


def _describe(pbx: Pbx, channel: Channel) -> str:
    codec = "slin" if channel.technology == "Local" else "alaw"
    bridge = channel.bridge.uniqueid if channel.bridge is not None else ""
    return (
        f"Event: Status\r\nPrivilege: Call\r\n{channel.snapshot('', pbx.options.channelvars)}"
        f"Type: {channel.technology}\r\nDNID: {channel.dnid}\r\n"
        f"EffectiveConnectedLineNum: {channel.connected_num or UNKNOWN}\r\n"
        f"EffectiveConnectedLineName: {escape(channel.connected_name) or UNKNOWN}\r\n"
        f"TimeToHangup: 0\r\nBridgeID: {bridge}\r\nApplication: {channel.application}\r\n"
        f"Data: {channel.data}\r\nNativeformats: ({codec})\r\nReadformat: {codec}\r\n"
        f"Readtrans: \r\nWriteformat: {codec}\r\nWritetrans: \r\nCallgroup: 0\r\n"
        f"Pickupgroup: 0\r\nSeconds: {int(pbx.clock.time() - channel.created)}\r\n"
    )


def read_variable(pbx: Pbx, channel: Channel | None, name: str) -> str:
    """A variable, or one of the functions that are known here; "" where there is none."""
    if name.startswith("DIALPLAN_EXISTS(") and name.endswith(")"):
        return _dialplan_exists(pbx, name.removeprefix("DIALPLAN_EXISTS(")[:-1])
    if channel is None:
        return pbx.globals.get(name, "")
    billed = pbx.clock.time() - channel.answered if channel.answered else 0
    functions = {
        "CHANNEL(state)": STATE_WORDS[channel.state],
        "CHANNEL(uniqueid)": channel.uniqueid,
        "CHANNEL(linkedid)": channel.linkedid,
        "CDR(src)": channel.caller_num,
        "CDR(billsec)": str(int(billed)),
        "CALLERID(num)": channel.caller_num,
        "CALLERID(name)": channel.caller_name,
        "UNIQUEID": channel.uniqueid,
        "CHANNEL": channel.name,
        "EXTEN": channel.exten,
        "CONTEXT": channel.context,
        "HANGUPCAUSE": str(channel.cause),
    }
    if name in functions:
        return functions[name]
    return channel.variables.get(name, pbx.globals.get(name, ""))


def _dialplan_exists(pbx: Pbx, arguments: str) -> str:
    """Whether a context, or an extension of it, is there (pbx.c, func_dialplan.c)."""
    context, _, rest = arguments.partition(",")
    exten = rest.partition(",")[0]
    found = pbx.dialplan.exists(context, exten) if exten else pbx.dialplan.extensions(context)
    return "1" if found else "0"


def getvar(conversation: Conversation, action: Action) -> None:
    """Getvar, of a channel or global."""
    pbx, name, variable = conversation.pbx, action.get("Channel"), action.get("Variable")
    if not variable:
        conversation.error(action, "No variable specified")
    elif name and name not in pbx.channels:
        conversation.error(action, "No such channel")
    else:
        value = read_variable(pbx, pbx.channels[name] if name else None, variable)
        headers = f"Variable: {variable}\r\nValue: {value}\r\n"
        conversation.respond(action, "Success", headers=headers)


def setvar(conversation: Conversation, action: Action) -> None:
    """Setvar, of a channel or global."""
    pbx, name, variable = conversation.pbx, action.get("Channel"), action.get("Variable")
    if not variable:
        conversation.error(action, "No variable specified")
    elif name and name not in pbx.channels:
        conversation.error(action, "No such channel")
    else:
        pbx.set_variable(pbx.channels[name] if name else None, variable, action.get("Value"))
        conversation.ack(action, "Variable Set")


def hangup(conversation: Conversation, action: Action) -> None:
    """Hangup of one channel, or of all that match `/expression/`."""
    pbx, name = conversation.pbx, action.get("Channel")
    if not name:
        conversation.error(action, "No channel specified")
        return
    text = action.get("Cause")
    cause = int(text) if text.isascii() and text.isdigit() and int(text) <= _MAX_CAUSE else 0
    if name.startswith("/"):
        _hangup_matching(conversation, action, name, cause)
    elif name not in pbx.channels:
        conversation.error(action, "No such channel")
    else:
        pbx.hang_up(pbx.channels[name], cause)
        conversation.ack(action, "Channel Hungup")


def _hangup_matching(conversation: Conversation, action: Action, pattern: str, cause: int) -> None:
    if pattern == "/" or not pattern.endswith("/"):
        conversation.error(action, "Regex format invalid, Channel param should be /regex/")
        return
    try:
        expression = re.compile(pattern[1:-1])
    except re.error:
        conversation.error(action, f"Regex compile failed on: {pattern}")
        return
    pbx = conversation.pbx
    conversation.list_start(action, "Channels hung up will follow")
    matching = [channel for channel in in_list_order(pbx) if expression.search(channel.name)]
    for channel in matching:
        text = f"Event: ChannelHungup\r\nChannel: {channel.name}\r\n{id_line(action)}"
        conversation.list_item(text)
    conversation.list_complete(action, "ChannelsHungupListComplete", len(matching))
    for channel in matching:
        pbx.hang_up(channel, cause)


def originate(conversation: Conversation, action: Action) -> None:
    """Originate; without `Async: true` it holds the session until it is answered or failed."""
    complaint = _originate_complaint(conversation, action)
    if complaint:
        conversation.error(action, complaint)
        return
    pbx, request = conversation.pbx, _originate_request(action)
    if classes.is_true(action.get("Async")):
        origination = Origination(pbx, request, lambda _: None, respond=True)
        conversation.ack(action, "Originate successfully queued")
        pbx.scheduler.post(origination.start)
        return

    def done(answered: bool) -> None:
        if answered:
            conversation.ack(action, "Originate successfully queued")
        else:
            conversation.error(action, "Originate failed")
        conversation.line.release()

    conversation.line.hold()
    pbx.scheduler.post(Origination(pbx, request, done, respond=False).start)


def _originate_complaint(conversation: Conversation, action: Action) -> str:
    """What Asterisk finds wrong before it calls anybody, in its order; "" for nothing."""
    ids = (action.get("ChannelId"), action.get("OtherChannelId"))
    channel, timeout = action.get("Channel")[:255], action.get("Timeout")
    priority = action.get("Priority")
    checks = (
        (
            any(len(ident) > _MAX_UNIQUEID for ident in ids),
            f"Uniqueid length exceeds maximum of {_MAX_UNIQUEID}",
        ),
        (not channel, "Channel not specified"),
        (priority and not priority.isdigit(), "Invalid priority"),
        (timeout and re.match(r"\s*[-+]?\d", timeout) is None, "Invalid timeout"),
        ("/" not in channel, "Invalid channel"),
    )
    found = next((complaint for wrong, complaint in checks if wrong), "")
    return (
        found
        or _restricted_application(conversation, action)
        or _missing_extension(conversation.pbx, action)
    )


def _restricted_application(conversation: Conversation, action: Action) -> str:
    application = action.get("Application")
    if not application or conversation.write & classes.SYSTEM:
        return ""
    bad_data = any(word in action.get("Data") for word in _RESTRICTED_DATA)
    if not bad_data and not _RESTRICTED.search(application):
        return ""
    if conversation.pbx.chan_sip:
        return f"Originate Access Forbidden: {'Data' if bad_data else 'Application'}"
    return "Originate Access Forbidden: app or data blacklisted"


def _missing_extension(pbx: Pbx, action: Action) -> str:
    context, exten = action.get("Context"), action.get("Exten")
    complete = bool(context and exten and action.get("Priority").strip("0"))
    if complete and not pbx.dialplan.exists(context, exten):
        return "Extension does not exist."
    asynchronous = classes.is_true(action.get("Async"))
    if not complete and not action.get("Application") and not asynchronous:
        return "Originate with 'Exten' requires 'Context' and 'Priority'"
    return ""


def _originate_request(action: Action) -> OriginateRequest:
    number, name = parse_caller_id(action.get("CallerID")[:255])
    timeout = re.match(r"\s*([-+]?\d+)", action.get("Timeout"))
    timeout_ms = int(timeout[1]) if timeout else _DEFAULT_TIMEOUT_MS
    return OriginateRequest(
        channel=action.get("Channel")[:255],
        context=action.get("Context"),
        exten=action.get("Exten"),
        application=action.get("Application"),
        data=action.get("Data"),
        timeout_s=max(0, timeout_ms) / 1000,
        caller_num=number,
        caller_name=name,
        account=action.get("Account"),
        variables=tuple(
            pair for header in action.all("Variable") for pair in split_variables(header)
        ),
        channel_id=action.get("ChannelId"),
        other_id=action.get("OtherChannelId"),
        action_id=action.action_id,
    )


def blind_transfer(conversation: Conversation, action: Action) -> None:
    """BlindTransfer: the party of this channel goes on at an extension."""
    channel = _channel_to_transfer(conversation, action)
    if channel is None:
        return
    context = action.get("Context") or channel.context
    if channel.bridge is None or not conversation.pbx.dialplan.exists(context, action.get("Exten")):
        conversation.error(
            action, "Transfer invalid" if channel.bridge is None else "Transfer failed"
        )
        return
    transfers.blind(conversation.pbx, channel, context, action.get("Exten"), external=True)
    conversation.ack(action, "Transfer succeeded")


def attended_transfer(conversation: Conversation, action: Action) -> None:
    """Atxfer: this channel asks an extension first; it hands over by hanging up."""
    channel = _channel_to_transfer(conversation, action)
    if channel is None:
        return
    context = action.get("Context") or channel.context
    transfers.consult(conversation.pbx, channel, context, action.get("Exten"))
    conversation.ack(action, "Atxfer successfully queued")


def _channel_to_transfer(conversation: Conversation, action: Action) -> Channel | None:
    name = action.get("Channel")
    if not name:
        conversation.error(action, "No channel specified")
    elif not action.get("Exten"):
        conversation.error(action, "No extension specified")
    elif name not in conversation.pbx.channels:
        conversation.error(action, "Channel specified does not exist")
    else:
        return conversation.pbx.channels[name]
    return None


_CALL: Final = classes.CALL
_REPORTING: Final = classes.REPORTING
_SYSTEM: Final = classes.SYSTEM

#: The actions of this module.
CHANNEL_COMMANDS: Final = (
    Command("Atxfer", "Attended transfer.", _CALL, attended_transfer),
    Command(
        "BlindTransfer",
        "Blind transfer channel(s) to the given destination",
        _CALL,
        blind_transfer,
    ),
    Command(
        "CoreShowChannels",
        "List currently active channels.",
        _SYSTEM | _REPORTING,
        core_show_channels,
    ),
    Command("Getvar", "Gets a channel variable or function value.", _CALL | _REPORTING, getvar),
    Command("Hangup", "Hangup channel.", _SYSTEM | _CALL, hangup),
    Command("Originate", "Originate a call.", classes.ORIGINATE, originate),
    Command("Setvar", "Sets a channel variable or function value.", _CALL, setvar),
    Command("Status", "List channel status.", _SYSTEM | _CALL | _REPORTING, status),
)
