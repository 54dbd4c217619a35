"""Click-to-call, as this project's own dial plan does it, as far as AMI and the CDRs see it.

The daemon originates `Local/<number>@pbxapi-originate/n`. Its second half fetches the custom CDR
fields and rings all accounts of the line at once; the phone that answers goes on by itself at
`<destination>@pbxapi-dial`, which dials `Local/<destination>@pbxapi-target`. The halves of the
first pair end then, those of the second are optimised away, so that phone and destination are left
in one bridge.

Source: dialplan/pbxapi.conf.
"""

from typing import Final

from pbxapi.simulator import causes, dial, subroutines as sub
from pbxapi.simulator.channels import Channel
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.subroutines import OwnContext, Steps


def _ring_line(pbx: Pbx, channel: Channel) -> Steps:
    """pbxapi-originate: ring the line, let the phone that answers go on by itself."""
    if sub.is_late(pbx, channel):
        return None
    sub.show_dialer(pbx, channel)
    destination = sub.variable(channel, "PBXAPI_DST")
    if not sub.NUMBER.fullmatch(destination):
        sub.hang_up(pbx, channel, causes.INVALID_NUMBER)
        return None
    yield from sub.fetch_fields(pbx, channel)
    macro, accounts = sub.macro(pbx, channel), sub.accounts(pbx, channel)
    if not accounts:
        sub.hang_up(pbx, channel, causes.ABSENT)
        return None
    timeout_s = sub.seconds(channel, "PBXAPI_SRC_TIMEOUT")
    options = f"iG(pbxapi-dial^{destination}^1){sub.before(macro)}"
    pbx.run_application(channel, "Dial", f"{'&'.join(accounts)},{timeout_s:.0f},{options}")
    status, phone = yield from dial.ring_all(pbx, channel, accounts, timeout_s, macro)
    if phone is None:
        return (yield from sub.unanswered(pbx, channel, status))
    location = ("pbxapi-dial", destination)
    return (yield from sub.let_walk(pbx, channel, phone, location, _walk_on(pbx, phone)))


def _originated(pbx: Pbx, channel: Channel) -> Steps:
    """pbxapi-originated: `;1`, once the phone has answered; nothing is left to do."""
    sub.no_cdr(pbx, channel)
    sub.hang_up(pbx, channel)
    return sub.nothing_more()


def _walk_on(pbx: Pbx, phone: Channel) -> Steps:
    """pbxapi-dial, from priority 2: the phone goes on as if it had dialled the number."""
    pbx.run_application(phone, "Set", "CONNECTEDLINE(all,i)=")
    pbx.set_connected(phone, "", "")
    yield from sub.fetch_fields_again(pbx, phone)
    phone.priority += 1
    sub.record(pbx, phone, "b")
    return (yield from _dial_destination(pbx, phone))


def _dial_destination(pbx: Pbx, channel: Channel) -> Steps:
    """Dial the destination; a tone tells why it did not answer."""
    timeout_s = sub.seconds(channel, "PBXAPI_DST_TIMEOUT")
    target = f"Local/{channel.exten}@pbxapi-target"
    channel.priority += 1
    pbx.run_application(channel, "Dial", f"{target},{timeout_s:.0f}")
    status = yield from dial.dial(pbx, channel, [target], timeout_s)
    if status == "ANSWER":
        return None
    channel.priority += 1
    sub.no_cdr(pbx, channel)
    if status == "BUSY":
        return (yield from sub.tone(pbx, channel, "Busy", 5))
    if status in {"CONGESTION", "CHANUNAVAIL"}:
        return (yield from sub.tone(pbx, channel, "Congestion", 5))
    pbx.run_application(channel, "Hangup")
    return None


def _choose_route(pbx: Pbx, channel: Channel) -> Steps:
    """pbxapi-target: an extension of the line's dial plan, else the line's route."""
    override = sub.variable(channel, "PBXAPI_OVERRIDE_CID")
    if override:
        pbx.set_caller(channel, override, "")
    sub.set_fields(pbx, channel)
    exten = channel.exten
    for begin, name in (
        ("extensions-dialplanid-", "PBXAPI_DIALPLAN"),
        ("dial_out_", "PBXAPI_OUTROUTE"),
    ):
        context = begin + sub.keep(channel.variables.get(name, ""), "0-9")
        if context != begin and pbx.dialplan.exists(context, exten):
            pbx.run_application(channel, "GotoIf", f"1?{context},{exten},1")
            return context, exten
    return (yield from sub.tone(pbx, channel, "Congestion", 1))


#: The contexts of this module.
CONTEXTS: Final[dict[str, OwnContext]] = {
    "pbxapi-originate": sub.numbers(_ring_line, "Gosub", "pbxapi-in-time,s,1"),
    "pbxapi-originated": sub.start(_originated, "Set", "CDR_PROP(disable)=1"),
    "pbxapi-dial": sub.numbers(_dial_destination, "Goto", "pbxapi-answered,s,1"),
    "pbxapi-target": sub.numbers(
        _choose_route, "GotoIf", "${ISNULL(${PBXAPI_OVERRIDE_CID})}?rights"
    ),
}
