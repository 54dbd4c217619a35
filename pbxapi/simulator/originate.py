"""Originate: what its headers mean, and the call that comes of it.

Source: Asterisk main/manager.c action_originate(), fast_originate(), astman_get_variables();
main/callerid.c ast_callerid_parse(); captures originate-* of both versions.
"""

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final

from pbxapi.simulator import causes, classes, dial, local, phones, spying
from pbxapi.simulator.channels import UNKNOWN, Channel, LocalPair, escape
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.scheduler import Wait

#: Reason of an OriginateResponse: the control frame that decided it.
FAILED: Final = 0
NOT_ANSWERED: Final = 3
ANSWERED: Final = 4
WAS_BUSY: Final = 5
#: Seconds that an application takes which plays or says something.
_PLAYBACK_S: Final = 2.0
_PHONE: Final = re.compile(r"[0-9*#+()\-.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginateRequest:
    """An Originate that passed its checks."""

    channel: str
    context: str = ""
    exten: str = ""
    application: str = ""
    data: str = ""
    timeout_s: float = 30.0
    caller_num: str = ""
    caller_name: str = ""
    account: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    channel_id: str = ""
    other_id: str = ""
    action_id: str = ""


def parse_caller_id(text: str) -> tuple[str, str]:
    """Number and name of `"Name" <number>` in the spellings that Asterisk knows."""
    text = text.strip()
    begin, end = text.rfind("<"), text.rfind(">")
    if 0 <= begin < end:
        name, number = text[:begin].strip(), text[begin + 1 : end]
        if len(name) > 1 and name[0] == name[-1] == '"':
            name = name[1:-1]
    elif _PHONE.fullmatch(text):
        name, number = "", text
    else:
        name, number = text.strip('"'), ""
    return re.sub(r"[ ().\-]", "", number), name


def split_variables(text: str) -> list[tuple[str, str]]:
    """`a=b,c=d` as Asterisk splits a `Variable` header.

    Commas in quotes, parentheses and brackets do not count; quotes go, a backslash makes the next
    character plain.
    """
    parts, depth, quoted, plain = [""], 0, False, False
    for character in text:
        if plain:
            parts[-1] += character
            plain = False
        elif character == "\\":
            plain = True
        elif character == '"':
            quoted = not quoted
        elif character == "," and not depth and not quoted:
            parts.append("")
        else:
            depth += (character in "([") - (character in ")]")
            parts[-1] += character
    pairs = (part.partition("=") for part in parts)
    return [(name, value) for name, equals, value in pairs if equals and name]


class Origination:
    """One originated call until it is answered or has failed; the `Dialler` of its channel.

    Args:
        done: Told True when it was answered, False when it failed.
        respond: Whether an OriginateResponse goes out, as for `Async: true`.
    """

    def __init__(
        self,
        pbx: Pbx,
        request: OriginateRequest,
        done: Callable[[bool], None],
        *,
        respond: bool,
    ) -> None:
        self._pbx = pbx
        self._request = request
        self._done = done
        self._respond = respond
        self._channel: Channel | None = None

    def start(self) -> None:
        """Call the channel."""
        technology, _, address = self._request.channel.partition("/")
        self._pbx.calls_processed += 1
        if technology == "Local":
            self._call_local(address)
        else:
            self._call_device(address)

    def _call_device(self, address: str) -> None:
        pbx = self._pbx
        device = pbx.devices.behind(self._request.channel)
        if device is None or not phones.is_reachable(pbx, device):
            self._settle(None, FAILED)
            return
        channel = pbx.new_device_channel(device, uniqueid=self._request.channel_id)
        channel.exten = "" if pbx.chan_sip else "s"
        self._dress(channel)
        self._begin(channel, address)
        phones.receive(pbx, channel, device)

    def _call_local(self, address: str) -> None:
        pbx, request = self._pbx, self._request
        pair = local.request(pbx, address, uniqueid=request.channel_id, other_id=request.other_id)
        self._dress(pair.one)
        if not local.call(pbx, pair):
            pbx.scheduler.post(lambda: self._no_extension(pair))
            return
        self._begin(pair.one, address)

    def _no_extension(self, pair: LocalPair) -> None:
        self._settle(None, FAILED)
        pair.one.local = None
        self._pbx.hang_up(pair.one)

    def _dress(self, channel: Channel) -> None:
        """Give the new channel what the request says."""
        pbx, request = self._pbx, self._request
        pbx.run_application(channel, "AppDial2", "(Outgoing Line)")
        for name, value in reversed(request.variables):
            pbx.set_variable(channel, name, value)
        if request.account:
            pbx.set_accountcode(channel, request.account)
        if request.caller_num or request.caller_name:
            number = request.caller_num or channel.caller_num
            name = request.caller_name or channel.caller_name
            pbx.set_caller(channel, number, name)
            pbx.set_connected(channel, number, name)

    def _begin(self, channel: Channel, address: str) -> None:
        self._channel = channel
        channel.dialler = self
        self._pbx.tell_dial("DialBegin", None, channel, f"DialString: {address}")
        channel.timers.append(self._pbx.scheduler.later(self._request.timeout_s, self._too_late))

    def ringing(self, channel: Channel) -> None:
        """It rings."""
        self._pbx.tell_dial("DialState", None, channel, "DialStatus: RINGING")

    def answered(self, channel: Channel) -> None:
        """It answered: on to the extension or the application."""
        pbx, request = self._pbx, self._request
        self._channel = None
        pbx.tell_dial("DialEnd", None, channel, "DialStatus: ANSWER")
        self._settle(channel, ANSWERED)
        if request.application:
            channel.application, channel.data = request.application, request.data
            script = run_application(pbx, channel, request.application, request.data)
            pbx.run_thread(channel, script, dialplan=False)
        else:
            script = pbx.dialplan.run(channel, request.context, request.exten)
            pbx.run_thread(channel, script, dialplan=True)
        phones.start_talking(pbx, channel)

    def identified(self, channel: Channel, number: str, name: str) -> None:
        """Nobody is there to be told."""

    def ended(self, channel: Channel, status: str = "") -> None:
        """It ended without an answer."""
        if self._channel is None:
            return
        self._channel = None
        status = status or causes.dial_status(channel.cause, chan_sip=self._pbx.chan_sip)
        self._pbx.tell_dial("DialEnd", None, channel, f"DialStatus: {status}")
        busy = status == "BUSY" and channel.technology != "PJSIP"
        self._settle(None, WAS_BUSY if busy else FAILED)

    def _too_late(self) -> None:
        channel, self._channel = self._channel, None
        if channel is None or channel.ending:
            return
        channel.dialler = None
        cause, tech = causes.NORMAL, 0
        if not self._pbx.chan_sip:
            cause = causes.NO_ANSWER
            tech = causes.SIP_CODES[cause] if channel.device is not None else 0
        self._pbx.hang_up(channel, cause, tech)
        self._settle(None, NOT_ANSWERED)

    def _settle(self, channel: Channel | None, reason: int) -> None:
        if self._respond:
            self._tell_response(channel, reason)
        self._done(channel is not None)

    def _tell_response(self, channel: Channel | None, reason: int) -> None:
        request = self._request
        answered = channel is not None
        name = channel.name if channel is not None else request.channel
        uniqueid = channel.uniqueid if channel is not None else request.channel_id
        goal = (
            f"Application: {request.application}\r\nData: {request.data}\r\n"
            if request.application
            else f"Context: {request.context}\r\nExten: {request.exten}\r\n"
        )
        text = (f"ActionID: {request.action_id}\r\n" if request.action_id else "") + (
            f"Response: {'Success' if answered else 'Failure'}\r\nChannel: {name}\r\n{goal}"
            f"Reason: {reason}\r\nUniqueid: {uniqueid or UNKNOWN}\r\n"
            f"CallerIDNum: {request.caller_num or UNKNOWN}\r\n"
            f"CallerIDName: {request.caller_name or UNKNOWN}\r\n"
        )
        for variable in self._pbx.options.channelvars if channel is not None else ():
            value = channel.variables.get(variable, "") if channel is not None else ""
            text += f"ChanVariable({name}): {variable}={escape(value)}\r\n"
        self._pbx.announcer.emit("OriginateResponse", classes.CALL, text)


def run_application(
    pbx: Pbx, channel: Channel, application: str, data: str
) -> Generator[Wait, Any, None]:
    """One application on a channel, without a dial plan around it."""
    match application.lower():
        case "wait":
            seconds = re.match(r"\d+(\.\d+)?", data)
            yield Wait(timeout_s=float(seconds[0]) if seconds else 0.0)
        case "echo" | "musiconhold" | "milliwatt":
            yield Wait()
        case "chanspy":
            yield from spying.chan_spy(pbx, channel, data)
        case "playback" | "background" | "saydigits":
            yield Wait(timeout_s=_PLAYBACK_S)
        case "dial":
            targets, _, rest = data.partition(",")
            timeout = rest.partition(",")[0]
            timeout_s = float(timeout) if timeout.isdigit() else None
            yield from dial.dial(pbx, channel, targets.split("&"), timeout_s)
        case _:
            return
