"""`spying`: rings a line and, once somebody answers, lets them listen to a call."""

from typing import Final

from pbxapi.actions.calling import GRACE_S, begin_call, caller_id, dial_string
from pbxapi.actions.choice import LineChoice, choose_line, given_selectors
from pbxapi.actions.ports import Ports
from pbxapi.actions.registry import Parameters, Result, action
from pbxapi.faults import Fault

SOURCE: Final = LineChoice(
    public_num="srcExtenPublicNum",
    internal_num="srcExtenInternalNum",
    id="srcExtenId",
    sip_username="srcSipUsername",
    dialplans=("srcDialplanName",),
    conflict=300,
    ambiguous=302,
    missing=303,
    no_dialplan=304,
)
DESTINATION: Final = LineChoice(
    public_num="dstExtenPublicNum",
    internal_num="dstExtenInternalNum",
    id="dstExtenId",
    sip_username="dstSipUsername",
    dialplans=("dstDialplanName",),
    conflict=301,
    ambiguous=310,
    missing=311,
    no_dialplan=312,
)
_CHANNEL: Final = "dstChannelName"


@action(
    "spying",
    permission="spying",
    required=(SOURCE.selectors, (*DESTINATION.selectors, _CHANNEL)),
    optional=(*SOURCE.dialplans, *DESTINATION.dialplans, "spyCid", "spyName"),
    errors=(*SOURCE.errors, *DESTINATION.errors, 906, 904),
)
async def spying(ports: Ports, params: Parameters) -> Result:
    """Ring all accounts of the line; who answers hears one channel, or the other line's next."""
    if len(given_selectors(SOURCE, params)) != 1:
        raise Fault(SOURCE.conflict)
    if len(given_selectors(DESTINATION, params)) + (_CHANNEL in params) != 1:
        raise Fault(DESTINATION.conflict)
    line = await choose_line(SOURCE, params, ports.lines)
    values = {
        "ACCOUNTS": dial_string(line),
        **await _spied(ports, params),
        **caller_id(params, "spyCid", "spyName", ("000", "Spy")),
        "SRC_TIMEOUT": str(ports.ring_timeout_s),
    }
    channel = f"Local/{line.internal_num}@pbxapi-spying/n"
    timeout_s = ports.ring_timeout_s + GRACE_S
    call_id = await begin_call(ports, channel, "pbxapi-originated", values, timeout_s)
    return Result(call_id=call_id)


async def _spied(ports: Ports, params: Parameters) -> dict[str, str]:
    """One channel by its whole name, or the accounts of a line."""
    if _CHANNEL in params:
        name = params[_CHANNEL].replace("\\", "/")  # as hangupcall reads it
        if not ports.is_live(name):
            raise Fault(906, channel=name)
        return {"SPY": name}
    line = await choose_line(DESTINATION, params, ports.lines)
    return {"SPY_LINE": dial_string(line)}
