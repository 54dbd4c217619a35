"""`dial`: calls a number by an outbound route and, once it answers, lets it into a context."""

import re
from typing import Final

from pbxapi.actions.calling import OPTIONS, begin_call, caller_id, options, override
from pbxapi.actions.ports import Ports
from pbxapi.actions.registry import Parameters, Result, action
from pbxapi.actions.values import number, ring_seconds
from pbxapi.ami.requests import Request
from pbxapi.directory.lines import Outroute
from pbxapi.faults import Fault

#: A hangup context may play something before the attempt is over.
HANGUP_CONTEXT_S: Final = 600
_ROUTES: Final = ("outrouteName", "outrouteId")
_CONTEXTS: Final = ("context", "hangupContext")
#: What the dial plan takes for a name of a context; Asterisk's longest has 79 characters.
_CONTEXT: Final = re.compile(r"[A-Za-z0-9_.-]{1,79}")


@action(
    "dial",
    permission="originate",
    required=("dstNum", _ROUTES, "context"),
    optional=("hangupContext", *OPTIONS, "dialerCid", "overrideCallerId", "dstRingTimeout"),
    errors=(250, 907, 904),
)
async def dial(ports: Ports, params: Parameters) -> Result:
    """Ring the number; it enters the context at `s`, or at the number where there is no `s`."""
    outroute = await _outroute(ports, params)
    destination = number(params, "dstNum")
    ring_s = ring_seconds(params, "dstRingTimeout", ports.ring_timeout_s)
    values = {
        "OUTROUTE": str(outroute.id),
        **_caller(params),
        "DST_TIMEOUT": str(ring_s),
        **_contexts(params),
        **options(ports, params, may_record=True),
    }
    for name in _CONTEXTS:
        if name in params:
            await _require_context(ports, params[name])
    channel = f"Local/{destination}@pbxapi-dialout/n"
    timeout_s = ring_s + HANGUP_CONTEXT_S
    call_id = await begin_call(ports, channel, "pbxapi-dialled", values, timeout_s)
    return Result(call_id=call_id)


async def _outroute(ports: Ports, params: Parameters) -> Outroute:
    if all(name in params for name in _ROUTES):
        raise Fault(120)
    if "outrouteName" in params:
        found = await ports.lines.outroute_by_name(params["outrouteName"])
    else:
        found = await ports.lines.outroute_by_id(params["outrouteId"])
    if found is None:
        raise Fault(250)
    return found


def _caller(params: Parameters) -> dict[str, str]:
    """Who the destination is called by: nobody else's telephone shows it."""
    caller = caller_id(params, "dialerCid")
    shown = {"OVERRIDE_CID": caller["CID_NUM"]} if "dialerCid" in params else {}
    return caller | shown | override(params)


def _contexts(params: Parameters) -> dict[str, str]:
    for name in _CONTEXTS:
        if name in params and not _CONTEXT.fullmatch(params[name]):
            raise Fault(902, name=name)
    values = {"CONTEXT": params["context"]}
    if "hangupContext" in params:
        values["HANGUP_CONTEXT"] = params["hangupContext"]
    return values


async def _require_context(ports: Ports, name: str) -> None:
    """Ask Asterisk before anything rings."""
    answer = await ports.pbx.request(Request("Getvar", (("Variable", f"DIALPLAN_EXISTS({name})"),)))
    if answer.get("Value") != "1":
        raise Fault(907, context=name)
