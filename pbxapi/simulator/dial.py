"""The application Dial: one caller, one or more called legs, the first that answers wins.

Source: captures phone-call, trunk-out, trunk-out-busy, originate-local of both versions; Asterisk
apps/app_dial.c, dial_exec_full(), wait_for_answer(), hanguptree().
"""

from collections.abc import Generator, Sequence
from typing import Any, Final

from pbxapi.simulator import causes, local, phones
from pbxapi.simulator.channels import Channel, State
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.scheduler import HungUp, Signal, Wait

#: Set to nothing when Dial begins, in this order.
_CLEARED: Final = (
    "DIALSTATUS",
    "DIALEDPEERNUMBER",
    "DIALEDPEERNAME",
    "ANSWEREDTIME",
    "ANSWEREDTIME_MS",
    "DIALEDTIME",
    "DIALEDTIME_MS",
    "RINGTIME",
    "RINGTIME_MS",
    "PROGRESSTIME",
    "PROGRESSTIME_MS",
)
#: Causes of a leg that leave DIALSTATUS at NOANSWER (handle_cause); any other: CHANUNAVAIL.
_NOBODY_THERE: Final = frozenset({0, causes.NORMAL, causes.NO_ANSWER})
Dialling = Generator[Wait, Any, tuple[str, Channel | None]]


class Attempt:
    """Legs being called at once for one caller; a `Dialler` of each.

    Args:
        pbx: The PBX.
        caller: Who calls.
        before: Context that each leg runs before it is called (option b); "" = none.

    Attributes:
        settled: Fires with the leg that answered, or with None when the last one has ended.
    """

    #: What called legs are said to run.
    application = "AppDial"

    def __init__(self, pbx: Pbx, caller: Channel, before: str = "") -> None:
        self.settled = Signal()
        self._before = before
        self._pbx = pbx
        self._caller = caller
        self._legs: dict[Channel, str] = {}
        self._statuses: list[str] = []
        self._single = True
        self._began = pbx.clock.time()
        self._ring_told = False

    def call(self, dial_strings: Sequence[str]) -> None:
        """Call every target that can be reached."""
        self._single = len(dial_strings) == 1
        for dial_string in dial_strings:
            if not self._call_one(dial_string):
                self._statuses.append("CHANUNAVAIL")
                if not dial_string.startswith("Local/"):  # a Local channel names no cause
                    self._caller.cause = causes.unreachable(chan_sip=self._pbx.chan_sip)
        if not self._legs:
            self.settled.fire(None)

    def _call_one(self, dial_string: str) -> bool:
        technology, _, address = dial_string.partition("/")
        if technology == "Local":
            return self._call_local(address)
        device = self._pbx.devices.behind(dial_string)
        if device is None or not phones.is_reachable(self._pbx, device):
            return False
        leg = self._pbx.new_device_channel(device, linkedid=self._caller.linkedid)
        if self._pbx.chan_sip:
            leg.exten = ""
        self._prepare(leg, address, self._caller.exten)
        self._begin(leg, address)
        phones.receive(self._pbx, leg, device)
        return True

    def _call_local(self, address: str) -> bool:
        pair = local.request(self._pbx, address, linkedid=self._caller.linkedid)
        self._prepare(pair.one, address, pair.exten)
        if not local.call(self._pbx, pair):
            self._pbx.hang_up(pair.one)
            return False
        self._begin(pair.one, address)
        return True

    def _prepare(self, leg: Channel, address: str, exten: str) -> None:
        """Give the leg what it takes over from its caller."""
        pbx, caller = self._pbx, self._caller
        leg.dialled = True
        pbx.inherit_variables(caller, leg)
        pbx.set_variable(leg, "DIALEDPEERNUMBER", address)
        old_number, old_code = leg.caller_num, leg.accountcode
        leg.exten = exten
        leg.caller_num = old_number or caller.exten
        leg.connected_num, leg.connected_name = caller.caller_num, caller.caller_name
        leg.accountcode = caller.accountcode or old_code
        pbx.run_application(leg, self.application, "(Outgoing Line)")
        if not old_number:
            number, leg.caller_num = leg.caller_num, ""
            pbx.set_caller(leg, number, leg.caller_name)
        if leg.accountcode != old_code:
            new_code, leg.accountcode = leg.accountcode, old_code
            pbx.set_accountcode(leg, new_code)
        if caller.caller_num or caller.caller_name:
            pbx.tell("NewConnectedLine", leg)
        self._run_before(leg)

    def _run_before(self, leg: Channel) -> None:
        """Option b: a subroutine of the leg; what it does there is not known here."""
        if not self._before:
            return
        place = leg.context, leg.exten
        leg.context, leg.exten = self._before, "s"
        self._pbx.run_application(leg, "NoOp", self._before)
        leg.priority += 1
        self._pbx.run_application(leg, "Return")
        leg.priority -= 1
        leg.context, leg.exten = place
        self._pbx.run_application(leg, "AppDial", "(Outgoing Line)")

    def _begin(self, leg: Channel, address: str) -> None:
        self._legs[leg] = address
        leg.dialler = self
        self._pbx.tell_dial("DialBegin", self._caller, leg, f"DialString: {address}")
        known = bool(leg.caller_name) or not self._pbx.chan_sip
        if self._single and leg.local is None and known:
            self._pbx.set_connected(self._caller, leg.caller_num, leg.caller_name)

    def ringing(self, channel: Channel) -> None:
        """A leg rings."""
        if channel not in self._legs:
            return
        if self._caller.is_second_half:
            local.ringing(self._pbx, self._caller)
        if not self._ring_told:
            self._ring_told = True
            waited = self._pbx.clock.time() - self._began
            self._pbx.set_variable(self._caller, "RINGTIME", str(int(waited)))
            self._pbx.set_variable(self._caller, "RINGTIME_MS", str(int(waited * 1000)))
        self._pbx.tell_dial("DialState", self._caller, channel, "DialStatus: RINGING")

    def answered(self, channel: Channel) -> None:
        """A leg answered: it has won, the others are cancelled."""
        address = self._legs.pop(channel, None)
        if address is None:
            return
        pbx, caller = self._pbx, self._caller
        if not self._single:
            pbx.set_connected(caller, channel.caller_num, channel.caller_name)
        for other in tuple(self._legs):
            self._drop(other, "CANCEL", causes.ELSEWHERE)
        pbx.set_variable(caller, "DIALSTATUS", "ANSWER")
        pbx.set_variable(caller, "DIALEDPEERNAME", channel.name)
        pbx.set_variable(caller, "DIALEDPEERNUMBER", address)
        channel.exten = ""
        pbx.tell_dial("DialEnd", caller, channel, "DialStatus: ANSWER")
        self.settled.fire(channel)

    def identified(self, channel: Channel, number: str, name: str) -> None:
        """The only leg leads to somebody: the caller is told."""
        if self._single and channel in self._legs:
            self._pbx.set_connected(self._caller, number, name)

    def ended(self, channel: Channel, status: str = "") -> None:
        """A leg ended without an answer."""
        if self._legs.pop(channel, None) is None:
            return
        status = status or causes.dial_status(channel.cause, chan_sip=self._pbx.chan_sip)
        unreached = status == "NOANSWER" and channel.cause not in _NOBODY_THERE
        self._statuses.append("CHANUNAVAIL" if unreached else status)
        self._caller.cause = channel.cause or self._caller.cause
        self._caller.tech_cause = channel.tech_cause
        self._pbx.tell_dial("DialEnd", self._caller, channel, f"DialStatus: {status}")
        if not self._legs:
            self.settled.fire(None)

    def give_up(self, status: str) -> None:
        """Cancel every leg: nobody answered in time, or the caller hung up."""
        for leg in tuple(self._legs):
            self._drop(leg, status, 0)

    @property
    def all_ended(self) -> bool:
        """Whether no leg is left."""
        return not self._legs

    def status(self) -> str:
        """DIALSTATUS when every leg has ended by itself."""
        for status in ("BUSY", "CONGESTION", "NOANSWER", "CHANUNAVAIL"):
            if status in self._statuses:
                return status
        return "CHANUNAVAIL"

    def _drop(self, leg: Channel, status: str, cause: int) -> None:
        self._legs.pop(leg, None)
        leg.dialler = None
        self._pbx.tell_dial("DialEnd", self._caller, leg, f"DialStatus: {status}")
        self._pbx.hang_up(leg, cause)


def ring_all(
    pbx: Pbx,
    caller: Channel,
    dial_strings: Sequence[str],
    timeout_s: float | None,
    before: str = "",
) -> Dialling:
    """Call legs until one answers; `before` as of `Attempt`.

    Returns:
        DIALSTATUS and the leg that answered, which is up and in no bridge.
    """
    for name in _CLEARED:
        pbx.set_variable(caller, name, "")
    attempt = Attempt(pbx, caller, before)
    attempt.call(dial_strings)
    try:
        peer = yield Wait(attempt.settled, timeout_s)
    except HungUp:
        attempt.give_up("CANCEL")
        raise
    if peer is not None and not peer.ending:
        return "ANSWER", peer
    status = attempt.status() if attempt.all_ended else "NOANSWER"
    attempt.give_up("NOANSWER")
    pbx.set_variable(caller, "DIALSTATUS", status)
    return status, None


def answer_caller(pbx: Pbx, caller: Channel) -> None:
    """Pick up the calling side."""
    pbx.set_state(caller, State.UP)
    if caller.is_second_half:
        local.answer(pbx, caller)


def talk(pbx: Pbx, caller: Channel, peer: Channel) -> Generator[Wait, Any, None]:
    """Bridge caller and peer until one of them leaves."""
    began = pbx.clock.time()
    answer_caller(pbx, caller)
    bridge = pbx.create_bridge()
    peer.exten = ""
    pbx.run_application(peer, "AppDial", "(Outgoing Line)")
    pbx.enter_bridge(bridge, peer)
    pbx.enter_bridge(bridge, caller)
    _tell_bridge_peers(pbx, peer, caller)
    for channel in (peer, caller):
        phones.start_talking(pbx, channel)
        if channel.local is not None:
            pair = channel.local
            pbx.scheduler.post(lambda pair=pair: local.optimise(pbx, pair))  # type: ignore[misc]  # mypy has no types for defaults of a lambda
    caller.released = Signal()
    yield Wait(caller.released)
    talked = pbx.clock.time() - began
    pbx.set_variable(caller, "ANSWEREDTIME", str(int(talked)))
    pbx.set_variable(caller, "ANSWEREDTIME_MS", str(int(talked * 1000)))
    pbx.set_variable(caller, "DIALSTATUS", "ANSWER")
    caller.cause = causes.NORMAL


def _tell_bridge_peers(pbx: Pbx, peer: Channel, caller: Channel) -> None:
    for one, other in ((peer, caller), (caller, peer)):
        pbx.set_variable(one, "BRIDGEPEER", other.name)
        if other.sip_call_id:
            pbx.set_variable(one, "BRIDGEPVTCALLID", other.sip_call_id)


def dial(
    pbx: Pbx, caller: Channel, dial_strings: Sequence[str], timeout_s: float | None
) -> Generator[Wait, Any, str]:
    """The whole of Dial; returns DIALSTATUS when it is over."""
    status, peer = yield from ring_all(pbx, caller, dial_strings, timeout_s)
    if peer is not None:
        yield from talk(pbx, caller, peer)
    return status
