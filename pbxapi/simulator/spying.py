"""ChanSpy, and the action `spying` as this project's own dial plan does it.

The daemon originates `Local/<number>@pbxapi-spying/n`, which rings the line; the phone that answers
goes on at pbxapi-spy and listens to one channel, or waits for one of a line to be up.

Source: dialplan/pbxapi.conf; captures chanspy.ami of both versions; Asterisk apps/app_chanspy.c,
common_exec(), channel_spy(): without option u a prefix of the name is enough, and who has listened
to one channel goes on with the next; option E ends with the channel, S where there is none.
"""

import re
from collections.abc import Generator
from typing import Any, Final

from pbxapi.simulator import causes, classes, dial, subroutines as sub
from pbxapi.simulator.channels import Channel, State
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.scheduler import HungUp, Signal, Wait
from pbxapi.simulator.subroutines import OwnContext, Steps

#: Seconds before the phone begins to listen, and between two looks for a channel.
_MOMENT_S: Final = 0.1
_LOOK_AGAIN_S: Final = 1.0
#: Seconds after which ChanSpy without S looks for another channel.
_SCAN_S: Final = 0.2
_ACCOUNT: Final = r"A-Za-z0-9_.+/&\-"

Listening = Generator[Wait, Any, None]


def chan_spy(pbx: Pbx, channel: Channel, data: str) -> Listening:
    """The application ChanSpy."""
    name, _, options = data.partition(",")
    while True:
        spied = _find(pbx, channel, name, exact="u" in options)
        if spied is not None:
            yield from _listen(pbx, channel, spied)
            if "E" in options:
                return
        elif "S" in options:
            return
        else:
            yield Wait(timeout_s=_SCAN_S)


def _find(pbx: Pbx, spy: Channel, name: str, *, exact: bool) -> Channel | None:
    for channel in pbx.channels.values():
        if exact:
            matches = name in {channel.name, channel.uniqueid}
        else:
            matches = channel.name.startswith(name)
        if matches and channel is not spy and not channel.ending:
            return channel
    return None


def _listen(pbx: Pbx, spy: Channel, spied: Channel) -> Listening:
    """From ChanSpyStart to ChanSpyStop, until one of both ends."""
    ended = Signal()
    spied.spies.append(ended)
    _tell(pbx, "ChanSpyStart", spy, spied)
    try:
        yield Wait(ended)
    except HungUp:
        spied.spies.remove(ended)
        _tell(pbx, "ChanSpyStop", spy, spied)
        raise
    _tell(pbx, "ChanSpyStop", spy, spied)


def _tell(pbx: Pbx, event: str, spy: Channel, spied: Channel) -> None:
    channelvars = pbx.options.channelvars
    text = spy.snapshot("Spyer", channelvars) + spied.snapshot("Spyee", channelvars)
    pbx.announcer.emit(event, classes.CALL, text)


def _ring_spy(pbx: Pbx, channel: Channel) -> Steps:
    """pbxapi-spying: ring the line, let the phone that answers go on by itself."""
    if sub.is_late(pbx, channel):
        return None
    sub.show_dialer(pbx, channel)
    accounts = sub.accounts(pbx, channel)
    if not accounts:
        sub.hang_up(pbx, channel, causes.ABSENT)
        return None
    timeout_s = sub.seconds(channel, "PBXAPI_SRC_TIMEOUT")
    options = f"iG(pbxapi-spy^{channel.exten}^1)"
    pbx.run_application(channel, "Dial", f"{'&'.join(accounts)},{timeout_s:.0f},{options}")
    status, phone = yield from dial.ring_all(pbx, channel, accounts, timeout_s)
    if phone is None:
        return (yield from sub.unanswered(pbx, channel, status))
    location = ("pbxapi-spy", channel.exten)
    return (yield from sub.let_walk(pbx, channel, phone, location, _spy(pbx, phone)))


def _spy(pbx: Pbx, phone: Channel) -> Steps:
    """pbxapi-spy, from priority 2."""
    pbx.run_application(phone, "Wait", str(_MOMENT_S))
    yield Wait(timeout_s=_MOMENT_S)
    phone.priority += 1
    name = sub.variable(phone, "PBXAPI_SPY") or (yield from _wait_for_line(pbx, phone))
    if name:
        data = f"{name},quES"
        pbx.run_application(phone, "ChanSpy", data)
        yield from chan_spy(pbx, phone, data)
    sub.hang_up(pbx, phone)
    return None


def _wait_for_line(pbx: Pbx, phone: Channel) -> Generator[Wait, Any, str]:
    """The first channel of the line's accounts that is up, now or later; "" without accounts."""
    accounts = sub.keep(sub.variable(phone, "PBXAPI_SPY_LINE"), _ACCOUNT)
    if not accounts:
        return ""
    either = "|".join(re.escape(account) for account in accounts.split("&"))
    names = re.compile(rf"({either})-[0-9a-f]+")
    while True:
        for channel in pbx.channels.values():
            up = channel.state is State.UP and channel is not phone
            if up and names.fullmatch(channel.name):
                return channel.name
        pbx.run_application(phone, "Wait", "1")
        yield Wait(timeout_s=_LOOK_AGAIN_S)


#: The contexts of this module.
CONTEXTS: Final[dict[str, OwnContext]] = {
    "pbxapi-spying": sub.numbers(_ring_spy, "Gosub", "pbxapi-in-time,s,1"),
    "pbxapi-spy": sub.numbers(sub.answered, "Goto", "pbxapi-answered,s,1"),
}
