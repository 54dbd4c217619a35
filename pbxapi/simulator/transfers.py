"""Blind and attended transfers of a bridged call.

Source: captures transfer-blind-ami, transfer-attended-ami of both versions; without the DTMF by
which a real attended transfer is asked for.
"""

from pbxapi.simulator import causes, classes, local
from pbxapi.simulator.channels import Bridge, Channel, LocalPair
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.scheduler import AsyncGoto


def partner(channel: Channel) -> Channel | None:
    """The other party of its bridge."""
    members = channel.bridge.members if channel.bridge is not None else []
    return next((member for member in members if member is not channel), None)


def blind(
    pbx: Pbx, transferer: Channel, context: str, exten: str, *, external: bool = False
) -> bool:
    """The other party goes on at an extension, the transferer ends; False where there is none."""
    bridge, transferee = transferer.bridge, partner(transferer)
    if bridge is None or transferee is None:
        return False
    channelvars = pbx.options.channelvars
    pbx.set_hold(transferer, on_hold=False)
    text = (
        f"Result: Success\r\n{transferer.snapshot('Transferer', channelvars)}"
        f"{transferee.snapshot('Transferee', channelvars)}{bridge.describe()}"
        f"IsExternal: {'Yes' if external else 'No'}\r\n"
        f"Context: {context}\r\nExtension: {exten}\r\n"
    )
    pbx.announcer.emit("BlindTransfer", classes.CALL, text)
    pbx.leave_bridge(transferee)
    pbx.leave_bridge(transferer)
    pbx.destroy_bridge(bridge)
    if transferee.thread is not None:
        transferee.thread.interrupt(AsyncGoto(context, exten))
    else:
        script = pbx.dialplan.run(transferee, context, exten)
        pbx.run_thread(transferee, script, dialplan=True)
    pbx.hang_up(transferer, causes.NORMAL)
    return True


def consult(pbx: Pbx, transferer: Channel, context: str, exten: str) -> bool:
    """Begin an attended transfer; the transferer completes it by hanging up.

    When the extension does not answer, or ends first, the transferer is back with the other party.
    """
    held, transferee = transferer.bridge, partner(transferer)
    if held is None or transferee is None:
        return False
    Consultation(pbx, transferer, transferee, held).start(context, exten)
    return True


class Consultation:
    """A transferer talking to the target while the transferee hears music; a `Dialler` of `;1`."""

    def __init__(self, pbx: Pbx, transferer: Channel, transferee: Channel, held: Bridge) -> None:
        self._pbx = pbx
        self._transferer = transferer
        self._transferee = transferee
        self._held = held

    def start(self, context: str, exten: str) -> None:
        """Put the transferee on hold and call the target."""
        pbx, transferer = self._pbx, self._transferer
        self._held.holding = True
        pbx.set_hold(transferer, on_hold=True)
        pbx.tell("MusicOnHoldStart", self._transferee, "Class: default\r\n")
        pair = local.request(pbx, f"{exten}@{context}", linkedid=transferer.linkedid)
        one = pair.one
        pbx.set_accountcode(one, transferer.accountcode)
        one.connected_num, one.connected_name = transferer.caller_num, transferer.caller_name
        if not local.call(pbx, pair):
            pbx.hang_up(one)
            self._resume_held()
            return
        talk = pbx.create_bridge()
        talk.parting = self._parting
        pbx.tell("NewConnectedLine", one)
        one.dialler = self
        pbx.enter_bridge(talk, one)
        pbx.leave_bridge(transferer)
        pbx.enter_bridge(talk, transferer)
        pbx.set_connected(transferer, "", "")

    def ringing(self, channel: Channel) -> None:
        """The target rings."""
        self._pbx.tell_dial("DialState", None, channel, "DialStatus: RINGING")

    def answered(self, channel: Channel) -> None:
        """The target answered."""
        self._pbx.tell_dial("DialEnd", None, channel, "DialStatus: ANSWER")

    def identified(self, channel: Channel, number: str, name: str) -> None:  # noqa: ARG002 - the signature of those who watch a dial
        """The transferer is told whom he calls."""
        self._pbx.set_connected(self._transferer, number, name)

    def ended(self, channel: Channel, status: str = "") -> None:
        """The target did not answer."""
        status = status or causes.dial_status(channel.cause, chan_sip=self._pbx.chan_sip)
        self._pbx.tell_dial("DialEnd", None, channel, f"DialStatus: {status}")

    def _parting(self, channel: Channel) -> bool:
        """Somebody leaves the consultation; True where this has seen to what follows."""
        if self._transferee.ending or self._transferee.bridge is not self._held:
            return False
        talk = channel.bridge
        if talk is None:
            return False
        talk.parting = None
        if channel is self._transferer:
            self._complete(talk)
        else:
            self._return(talk, channel)
        return True

    def _return(self, talk: Bridge, target: Channel) -> None:
        """The target is gone: the transferer goes back to the transferee."""
        pbx, transferer = self._pbx, self._transferer
        pbx.leave_bridge(target)
        pbx.leave_bridge(transferer)
        pbx.destroy_bridge(talk)
        self._resume_held()
        pbx.enter_bridge(self._held, transferer)
        pbx.set_connected(transferer, self._transferee.caller_num, self._transferee.caller_name)

    def _complete(self, talk: Bridge) -> None:
        """The transferer hangs up: target and transferee are left with each other."""
        pbx, held, transferee = self._pbx, self._held, self._transferee
        pbx.leave_bridge(self._transferer)
        target = talk.members[0]
        merge = held.describe("To") + talk.describe("From")
        pbx.announcer.emit("BridgeMerge", classes.CALL, merge)
        pbx.leave_bridge(target)
        self._resume_held()
        pbx.enter_bridge(held, target)
        pbx.set_connected(target, transferee.caller_num, transferee.caller_name)
        pbx.set_connected(transferee, target.caller_num, target.caller_name)
        self._tell_transfer(talk)
        pbx.destroy_bridge(talk)
        pair = target.local
        if pair is not None:
            self._optimise_later(pair)

    def _optimise_later(self, pair: LocalPair) -> None:
        self._pbx.scheduler.post(lambda: local.optimise(self._pbx, pair))

    def _resume_held(self) -> None:
        self._held.holding = False
        self._pbx.tell("MusicOnHoldStop", self._transferee)

    def _tell_transfer(self, talk: Bridge) -> None:
        channelvars = self._pbx.options.channelvars
        text = (
            f"Result: Success\r\n{self._transferer.snapshot('OrigTransferer', channelvars)}"
            f"{self._held.describe('Orig')}"
            f"{self._transferer.snapshot('SecondTransferer', channelvars)}"
            f"{talk.describe('Second')}{self._transferee.snapshot('Transferee', channelvars)}"
            f"IsExternal: No\r\nDestType: Bridge\r\n"
            f"DestBridgeUniqueid: {self._held.uniqueid}\r\n"
        )
        self._pbx.announcer.emit("AttendedTransfer", classes.CALL, text)
