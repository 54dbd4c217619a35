"""What this project's own dial plan does, as far as AMI sees it.

The daemon originates `Local/<number>@pbxapi-originate/n`. Its second half rings all accounts of the
line at once; the phone that answers goes on by itself at `<destination>@pbxapi-dial`, which dials
`Local/<destination>@pbxapi-target`. The halves of the first pair end then, those of the second are
optimised away, so that phone and destination are left in one bridge.

Variables come percent-encoded, since a value must never become dial plan text.
Source: dialplan/pbxapi.conf.
"""

import re
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from pbxapi.simulator import causes, dial, local
from pbxapi.simulator.channels import Channel
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.scheduler import Wait

Steps = Generator[Wait, Any, tuple[str, str] | None]

_DIALLED: Final = re.compile(r"[0-9+*#]+")
#: Where the originate leaves a timeout out.
RING_S: Final = 30.0


def _variable(channel: Channel, name: str) -> str:
    return unquote(channel.variables.get(name, ""), errors="surrogateescape")


def _seconds(channel: Channel, name: str) -> float:
    text = _variable(channel, name)
    return float(text) if text.isascii() and text.isdigit() else RING_S


def _tone(pbx: Pbx, channel: Channel, application: str, seconds: int) -> Steps:
    """Busy or Congestion, heard for so long."""
    pbx.run_application(channel, application, str(seconds))
    local.tone(pbx, channel, causes.BUSY if application == "Busy" else causes.CONGESTION)
    yield Wait(timeout_s=seconds)
    return None


def _is_late(pbx: Pbx, channel: Channel) -> bool:
    """Whether the Originate was read after the instant that it was meant for."""
    limit = _variable(channel, "PBXAPI_NOT_AFTER")
    return limit.isascii() and limit.isdigit() and int(pbx.clock.time()) > int(limit)


def _ring_line(pbx: Pbx, channel: Channel) -> Steps:
    """`;2` of the originate: ring the line, let the phone that answers go on by itself."""
    if _is_late(pbx, channel):
        channel.cause = causes.TIMER_EXPIRED
        pbx.run_application(channel, "Hangup", str(channel.cause))
        return None
    number, name = _variable(channel, "PBXAPI_CID_NUM"), _variable(channel, "PBXAPI_CID_NAME")
    pbx.run_application(channel, "Set", f"CALLERID(num)={number}")
    pbx.set_caller(channel, number, name)
    accounts = [account for account in _variable(channel, "PBXAPI_ACCOUNTS").split("&") if account]
    destination = _variable(channel, "PBXAPI_DST")
    reachable = [account for account in accounts if pbx.device_behind(account) is not None]
    status, phone = "CHANUNAVAIL", None
    if reachable and destination:
        timeout_s = _seconds(channel, "PBXAPI_SRC_TIMEOUT")
        data = f"{'&'.join(accounts)},{timeout_s:.0f},iG(pbxapi-dial^{destination}^1)"
        pbx.run_application(channel, "Dial", data)
        status, phone = yield from dial.ring_all(pbx, channel, reachable, timeout_s)
    if phone is None:
        return (yield from _nobody_answered(pbx, channel, status))
    channel.context, channel.exten = phone.context, phone.exten = "pbxapi-dial", destination
    pbx.run_thread(phone, _walk_on(pbx, phone), dialplan=True)
    pbx.run_application(channel, "Answer")
    dial.answer_caller(pbx, channel)
    pbx.run_application(channel, "Hangup")
    channel.cause = causes.NORMAL
    return None


def _nobody_answered(pbx: Pbx, channel: Channel, status: str) -> Steps:
    """The cause reaches `;1`, and with it OriginateResponse."""
    if status == "BUSY":
        return (yield from _tone(pbx, channel, "Busy", 1))
    if status == "NOANSWER":
        channel.cause = causes.NO_ANSWER
    elif not channel.cause:
        channel.cause = causes.ABSENT
    pbx.run_application(channel, "Hangup", str(channel.cause))
    return None


def _walk_on(pbx: Pbx, phone: Channel) -> Steps:
    """The phone that answered goes on at its destination, as if it had dialled it."""
    phone.priority = 2
    pbx.run_application(phone, "Set", "CONNECTEDLINE(all,i)=")
    pbx.set_connected(phone, "", "")
    return (yield from _dial_destination(pbx, phone))


def _dial_destination(pbx: Pbx, channel: Channel) -> Steps:
    """Dial the destination; a tone tells why it did not answer."""
    timeout_s = _seconds(channel, "PBXAPI_DST_TIMEOUT")
    target = f"Local/{channel.exten}@pbxapi-target"
    channel.priority += 1
    pbx.run_application(channel, "Dial", f"{target},{timeout_s:.0f}")
    status = yield from dial.dial(pbx, channel, [target], timeout_s)
    if status == "BUSY":
        return (yield from _tone(pbx, channel, "Busy", 5))
    if status in {"CONGESTION", "CHANUNAVAIL"}:
        return (yield from _tone(pbx, channel, "Congestion", 5))
    return None


def _choose_route(pbx: Pbx, channel: Channel) -> Steps:
    """`;2` of the second pair: an extension of the line's dial plan, else the line's route."""
    override = _variable(channel, "PBXAPI_OVERRIDE_CID")
    if override:
        pbx.set_caller(channel, override, "")
    exten = channel.exten
    for context in (
        f"extensions-dialplanid-{_variable(channel, 'PBXAPI_DIALPLAN')}",
        f"dial_out_{_variable(channel, 'PBXAPI_OUTROUTE')}",
    ):
        if not context.endswith("_") and pbx.dialplan.exists(context, exten):
            pbx.run_application(channel, "GotoIf", f"1?{context},{exten},1")
            return context, exten
    return (yield from _tone(pbx, channel, "Congestion", 1))


def _originated(pbx: Pbx, channel: Channel) -> Steps:
    """`;1` of the originate, once the phone has answered: nothing is left to do."""
    pbx.run_application(channel, "Hangup")
    channel.cause = causes.NORMAL
    yield from ()  # it is a generator as the others are
    return None


#: What runs in each context, whatever the extension.
CONTEXTS: Final[Mapping[str, Callable[[Pbx, Channel], Steps]]] = {
    "pbxapi-originate": _ring_line,
    "pbxapi-originated": _originated,
    "pbxapi-dial": _dial_destination,
    "pbxapi-target": _choose_route,
}


def exists(context: str, exten: str) -> bool:
    """Whether one of these contexts has an extension."""
    return exten == "s" if context == "pbxapi-originated" else _DIALLED.fullmatch(exten) is not None
