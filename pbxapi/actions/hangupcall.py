"""`hangupcall`: ends the call on one channel."""

from pbxapi.actions.ports import Ports
from pbxapi.actions.registry import Parameters, Result, action
from pbxapi.ami.requests import hangup
from pbxapi.errors import PbxRefused
from pbxapi.faults import Fault

#: Asterisk main/manager.c, action_hangup(), 16 to 22.
_NO_SUCH_CHANNEL = "No such channel"


@action("hangupcall", permission="hangup", optional=("channelName",), errors=(400, 906, 904))
async def hangupcall(ports: Ports, params: Parameters) -> Result:
    """Hang up the channel with exactly this name.

    Asterisk itself is asked whether it exists, since it knows of a channel a moment before its
    event can be here. A name in slashes would be a pattern to it and hang up everything that
    matches, so that is no channel; nor is one that begins with a blank, which Asterisk skips.
    """
    if "channelName" not in params:
        raise Fault(400)
    name = params["channelName"].replace("\\", "/")  # the seed writes SIP\5555-0000b704
    if name.startswith(("/", " ")):
        raise Fault(906, channel=name)
    try:
        await ports.pbx.request(hangup(name))
    except PbxRefused as refusal:
        if str(refusal) == _NO_SUCH_CHANNEL:
            raise Fault(906, channel=name) from refusal
        raise
    return Result()
