"""A call into a context, the action `dial`, as this project's own dial plan does it.

The daemon originates `Local/<number>@pbxapi-dialout/n`. Its second half dials
`Local/<number>@dial_out_<route>/n`; who answers walks on by itself in the context asked for,
through pbxapi-entered. Where nobody does, the half itself walks on in the hang-up context.

Source: dialplan/pbxapi.conf.
"""

from typing import Final

from pbxapi.simulator import causes, dial, subroutines as sub
from pbxapi.simulator.channels import Channel
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.scheduler import Wait
from pbxapi.simulator.subroutines import OwnContext, Steps

#: Characters that the dial plan lets the name of a context have.
_CONTEXT: Final = r"A-Za-z0-9_.\-"
#: Seconds before the called side goes on, and that `;1` waits for the end of all.
_MOMENT_S: Final = 0.1
_DAY_S: Final = 86_400


def _dial_out(pbx: Pbx, channel: Channel) -> Steps:
    """pbxapi-dialout."""
    if sub.is_late(pbx, channel):
        return None
    if not sub.NUMBER.fullmatch(channel.exten):
        sub.hang_up(pbx, channel, causes.INVALID_NUMBER)
        return None
    sub.show_dialer(pbx, channel)
    override = sub.variable(channel, "PBXAPI_OVERRIDE_CID")
    if override:
        pbx.set_caller(channel, override, "")
    yield from sub.fetch_fields(pbx, channel)
    macro = sub.macro(pbx, channel)
    route = f"dial_out_{sub.keep(channel.variables.get('PBXAPI_OUTROUTE', ''), '0-9')}"
    target = f"Local/{channel.exten}@{route}/n"
    timeout_s = sub.seconds(channel, "PBXAPI_DST_TIMEOUT")
    options = f"G(pbxapi-entered^{channel.exten}^1){sub.before(macro)}"
    pbx.run_application(channel, "Dial", f"{target},{timeout_s:.0f},{options}")
    status, called = yield from dial.ring_all(pbx, channel, [target], timeout_s, macro)
    if called is None:
        return (yield from _not_answered(pbx, channel, status))
    location = ("pbxapi-entered", channel.exten)
    return (yield from sub.let_walk(pbx, channel, called, location, _enter(pbx, called)))


def _not_answered(pbx: Pbx, channel: Channel, status: str) -> Steps:
    context = sub.keep(sub.variable(channel, "PBXAPI_HANGUP_CONTEXT"), _CONTEXT)
    if context:
        yield from sub.name_cause(pbx, channel, status)
        for exten in ("s", channel.exten):
            if pbx.dialplan.exists(context, exten):
                pbx.run_application(channel, "GotoIf", f"1?{context},{exten},1")
                return context, exten
    return (yield from sub.unanswered(pbx, channel, status))


def _dialled(pbx: Pbx, channel: Channel) -> Steps:
    """pbxapi-dialled: `;1`, which ends with `;2`."""
    sub.no_cdr(pbx, channel)
    pbx.run_application(channel, "Wait", str(_DAY_S))
    yield Wait(timeout_s=_DAY_S)
    return None


def _enter(pbx: Pbx, channel: Channel) -> Steps:
    """pbxapi-entered, from priority 2: the called side goes on in its context."""
    pbx.run_application(channel, "Wait", str(_MOMENT_S))
    yield Wait(timeout_s=_MOMENT_S)
    yield from sub.fetch_fields_again(pbx, channel)
    sub.record(pbx, channel)
    context = sub.keep(sub.variable(channel, "PBXAPI_CONTEXT"), _CONTEXT)
    exten = "s" if pbx.dialplan.exists(context, "s") else channel.exten
    channel.priority += 1
    pbx.run_application(channel, "Goto", f"{context},{exten},1")
    channel.cause = causes.NORMAL
    return context, exten


#: The contexts of this module.
CONTEXTS: Final[dict[str, OwnContext]] = {
    "pbxapi-dialout": sub.numbers(_dial_out, "Gosub", "pbxapi-in-time,s,1"),
    "pbxapi-dialled": sub.start(_dialled, "Set", "CDR_PROP(disable)=1"),
    "pbxapi-entered": sub.numbers(sub.answered, "Goto", "pbxapi-answered,s,1"),
}
