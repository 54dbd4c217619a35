"""The simulated PBX: its channels and bridges, and the events that each change of them sends.

Every change goes through a method here, so state and events cannot part. The methods are the small
steps that Asterisk's own code takes (`ast_setstate`, `ast_channel_set_connected_line`,
`ast_bridge_join` …); what calls are made of these steps is in dial.py, dialplan.py, local.py,
originate.py and transfers.py.
"""

import random
from collections.abc import Callable
from typing import Final

from pbxapi.simulator import causes, classes
from pbxapi.simulator.cdr import CallRecords
from pbxapi.simulator.channels import Bridge, Channel, State, escape
from pbxapi.simulator.clock import Clock
from pbxapi.simulator.device_states import DeviceStates
from pbxapi.simulator.devices import Devices
from pbxapi.simulator.events import Announcer
from pbxapi.simulator.extensions import Dialplan
from pbxapi.simulator.options import Device, SimulatorOptions
from pbxapi.simulator.peers import Peers
from pbxapi.simulator.queues import Queues
from pbxapi.simulator.scheduler import HungUp, Scheduler, Script

#: Cause of a SoftHangupRequest is a flag: AST_SOFTHANGUP_APPUNLOAD, _SHUTDOWN.
SOFT_DIALPLAN_ENDED: Final = 16
SOFT_SHUTDOWN: Final = 4
#: Underscores of a variable that every later generation of channels inherits.
FOR_EVER: Final = 2
PRESENTATION: Final = "CID-CallingPres: 0 (Presentation Allowed, Not Screened)\r\n"


class Pbx:
    """Channels, bridges and devices of one run of the PBX.

    Attributes:
        chan_sip: Whether phones speak through chan_sip, as on 16, and not through chan_pjsip.
        channels: By name, oldest first.
        devices: Phones and trunks by name, as they are configured.
        peers: What is known of where they are.
        device_states: What they do.
        queues: Queues, with members and waiters.
        moods: By Linkedid, how each phone behaves that this call reaches.
        records: Call detail records.
        dialplan: What calls execute; set once, right after making the PBX.
        calls_processed: Calls since the start, as `core show channels` counts them.
    """

    dialplan: Dialplan

    def __init__(self, options: SimulatorOptions, clock: Clock) -> None:
        self.options = options
        self.version = options.version
        self.chan_sip = options.technology == "SIP"
        self.clock = clock
        self.scheduler = Scheduler(clock)
        self.announcer = Announcer(clock, options.event_latency_s)
        self.random = random.Random(options.seed)  # noqa: S311 - repeatable on purpose
        self.devices = Devices(options.technology, options.devices)
        self.peers = Peers(self)
        self.device_states = DeviceStates(self)
        self.queues = Queues(self, options.queues)
        self.moods: dict[str, Callable[[], Device]] = {}
        self.globals: dict[str, str] = {}
        self.channels: dict[str, Channel] = {}
        self.bridges: dict[str, Bridge] = {}
        self.records = CallRecords(clock, options.cdr_limit)
        self.started = clock.time()
        self.reloaded = self.started
        self.calls_processed = 0
        self._unique = 0
        self._names: dict[str, int] = {}
        self.optimisations = 0

    def start_again(self) -> None:
        """A new run of the same PBX: no channels, counters from nought, uptime from now."""
        self.scheduler.stop()
        self.scheduler = Scheduler(self.clock)
        self.channels.clear()
        self.device_states.forget()
        self.peers.start_again()
        self.queues.start_again()
        self.records.forget_channels()
        self.moods.clear()
        self.bridges.clear()
        self.globals.clear()
        self._names.clear()
        self._unique = self.optimisations = self.calls_processed = 0
        self.started = self.reloaded = self.clock.time()

    def reload(self, module: str) -> None:
        """Take over what the configuration of a module says, or of all of them."""
        self.reloaded = self.clock.time()
        if module.removesuffix(".so") in ("", "app_queue"):
            self.queues.reload()

    # names and numbers

    def next_uniqueid(self) -> str:
        """`<seconds>.<sequence>`."""
        uniqueid = f"{int(self.clock.time())}.{self._unique}"
        self._unique += 1
        return uniqueid

    def next_serial(self, technology: str) -> int:
        """Count the channels of a technology, as their names do."""
        serial = self._names.get(technology, 0)
        self._names[technology] = serial + 1
        return serial

    def random_uuid(self) -> str:
        """An id as bridges and chan_pjsip calls have it."""
        digits = f"{self.random.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    # channels

    def add_channel(self, channel: Channel) -> Channel:
        """Announce a new channel."""
        self.channels[channel.name] = channel
        self.records.began(channel)
        self._call("Newchannel", channel)
        self.device_states.began(channel)
        return channel

    def new_device_channel(
        self, device: Device, *, uniqueid: str = "", linkedid: str = "", **fields: object
    ) -> Channel:
        """A channel to or from a phone or trunk."""
        technology = self.options.technology
        uniqueid = uniqueid or self.next_uniqueid()
        channel = Channel(
            name=f"{technology}/{device.name}-{self.next_serial(technology):08x}",
            technology=technology,
            uniqueid=uniqueid,
            linkedid=linkedid or uniqueid,
            created=self.clock.time(),
            device=device,
            caller_num=device.number,
            caller_name=device.caller_name,
            accountcode=device.accountcode,
            context=device.context,
            talk_s=device.talk_s,
            sip_call_id=self.random_uuid(),
        )
        for name, value in fields.items():
            setattr(channel, name, value)
        self.add_channel(channel)
        if self.chan_sip:
            self.set_variable(channel, "SIPCALLID", channel.sip_call_id)
        return channel

    def set_state(self, channel: Channel, state: State) -> None:
        """Newstate, unless it is so already."""
        if channel.state is not state and not channel.gone:
            channel.state = state
            if state is State.UP:
                channel.answered = self.clock.time()
                self.records.answered(channel)
            self._call("Newstate", channel)
            self.device_states.changed(channel)

    def set_hold(self, channel: Channel, *, on_hold: bool) -> None:
        """Hold or Unhold."""
        channel.on_hold = on_hold
        self._call("Hold" if on_hold else "Unhold", channel)
        self.device_states.changed(channel)

    def set_caller(self, channel: Channel, number: str, name: str) -> None:
        """NewCallerid, unless it is so already."""
        if (channel.caller_num, channel.caller_name) != (number, name):
            channel.caller_num, channel.caller_name = number, name
            self._call("NewCallerid", channel, PRESENTATION)

    def set_connected(self, channel: Channel, number: str, name: str) -> None:
        """NewConnectedLine, unless it is so already; a Local half passes it through."""
        if (channel.connected_num, channel.connected_name) == (number, name) or channel.gone:
            return
        channel.connected_num, channel.connected_name = number, name
        self._call("NewConnectedLine", channel)
        if channel.local is None:
            return
        other = channel.local.other(channel)
        if channel.is_second_half:
            if other.dialler is not None:
                other.dialler.identified(other, number, name)
            return
        for member in tuple(other.bridge.members) if other.bridge is not None else ():
            if member is not other:
                self.set_connected(member, number, name)

    def set_accountcode(self, channel: Channel, code: str) -> None:
        """NewAccountCode, unless it is so already."""
        if channel.accountcode != code:
            old, channel.accountcode = channel.accountcode, code
            self._call("NewAccountCode", channel, f"OldAccountCode: {old}\r\n")

    def set_variable(self, channel: Channel | None, name: str, value: str) -> None:
        """VarSet; leading underscores make it inheritable, no channel makes it global."""
        bare = name.lstrip("_")
        if channel is None:
            self.globals[bare] = value
        else:
            channel.variables[bare] = value
            if bare != name:
                channel.inherit[bare] = min(FOR_EVER, len(name) - len(bare))
        self.tell_variable(channel, name, value)

    def tell_variable(self, channel: Channel | None, name: str, value: str) -> None:
        """VarSet."""
        if self.announcer.wanted & classes.DIALPLAN:
            about = "Channel: none\r\nUniqueid: none\r\n"
            if channel is not None:
                about = self._snapshot(channel)
            text = f"{about}Variable: {name}\r\nValue: {escape(value)}\r\n"
            self.announcer.emit("VarSet", classes.DIALPLAN, text)

    def inherit_variables(self, parent: Channel, child: Channel) -> None:
        """Give a called channel the inheritable variables of its caller."""
        for bare, underscores in parent.inherit.items():
            name = f"__{bare}" if underscores == FOR_EVER else bare
            self.set_variable(child, name, parent.variables.get(bare, ""))

    def run_application(self, channel: Channel, application: str, data: str = "") -> None:
        """Newexten: the channel comes to its next application."""
        channel.application, channel.data = application, data
        self.records.executes(channel, application)
        if self.announcer.wanted & classes.DIALPLAN:
            text = (
                f"{self._snapshot(channel)}Extension: {channel.exten}\r\n"
                f"Application: {application}\r\nAppData: {data}\r\n"
            )
            self.announcer.emit("Newexten", classes.DIALPLAN, text)

    def tell_dial(self, what: str, caller: Channel | None, called: Channel, header: str) -> None:
        """DialBegin, DialState or DialEnd; Originate has no caller."""
        self.records.dials(what, caller, called, header)
        begin = self._snapshot(caller) if caller is not None else ""
        text = f"{begin}{self._snapshot(called, 'Dest')}{header}\r\n"
        self.announcer.emit(what, classes.CALL, text)

    def tell(self, name: str, channel: Channel, headers: str = "") -> None:
        """An event of class call about one channel."""
        self._call(name, channel, headers)

    # bridges

    def create_bridge(self) -> Bridge:
        """BridgeCreate."""
        bridge = Bridge(self.random_uuid())
        self.bridges[bridge.uniqueid] = bridge
        self.announcer.emit("BridgeCreate", classes.CALL, bridge.describe())
        return bridge

    def enter_bridge(self, bridge: Bridge, channel: Channel, swap: Channel | None = None) -> None:
        """BridgeEnter, in place of another channel where `swap` says so."""
        bridge.members.append(channel)
        channel.bridge = bridge
        channel.bridged = True
        self.records.enters(channel, bridge)
        if swap is not None and swap.served is not None:
            swap.served.carried_by(channel)
        swapped = f"SwapUniqueid: {swap.uniqueid}\r\n" if swap is not None else ""
        text = f"{bridge.describe()}{self._snapshot(channel)}{swapped}"
        self.announcer.emit("BridgeEnter", classes.CALL, text)

    def leave_bridge(self, channel: Channel) -> None:
        """BridgeLeave, without what follows from it for the others."""
        bridge = channel.bridge
        if bridge is None:
            return
        bridge.members.remove(channel)
        channel.bridge = None
        self.records.leaves(channel, bridge)
        text = f"{bridge.describe()}{self._snapshot(channel)}"
        self.announcer.emit("BridgeLeave", classes.CALL, text)

    def destroy_bridge(self, bridge: Bridge) -> None:
        """BridgeDestroy."""
        if self.bridges.pop(bridge.uniqueid, None) is not None:
            self.announcer.emit("BridgeDestroy", classes.CALL, bridge.describe())

    def part(self, channel: Channel) -> None:
        """The channel leaves its bridge for good, and the party left alone is released."""
        bridge = channel.bridge
        if bridge is None or (bridge.parting is not None and bridge.parting(channel)):
            return
        self.leave_bridge(channel)
        if bridge.holding and bridge.members:
            return
        left = tuple(bridge.members)
        for member in left:
            self.leave_bridge(member)
        self.destroy_bridge(bridge)
        for member in left:
            if member.thread is None:
                self.hang_up(member, causes.NORMAL)
            elif member.released is not None:
                member.released.fire()

    # the end of a channel

    def request_hangup(self, channel: Channel, cause: int = causes.NORMAL, tech: int = 0) -> None:
        """The other end hangs up: HangupRequest, then the channel ends."""
        if channel.gone or channel.ending:
            return
        code = f"TechCause: {tech}\r\n" if tech and not self.chan_sip else ""
        self._call("HangupRequest", channel, f"Cause: {cause}\r\n{code}")
        self.hang_up(channel, cause, tech)

    def hang_up(self, channel: Channel, cause: int = 0, tech: int = 0) -> None:
        """End a channel, whatever it does; harmless for one that ends already."""
        if channel.gone or channel.ending:
            return
        channel.ending = True
        channel.cause = cause or channel.cause
        channel.tech_cause = tech or channel.tech_cause
        if channel.thread is not None and channel.thread.alive:
            self.part(channel)
            channel.thread.interrupt(HungUp())
        else:
            self.scheduler.post(lambda: self._end(channel))

    def _end(self, channel: Channel) -> None:
        """A channel without a thread ends."""
        self.part(channel)
        dialler, channel.dialler = channel.dialler, None
        if dialler is not None:
            dialler.ended(channel)
        self.destroy_channel(channel)

    def run_thread(self, channel: Channel, script: Script, *, dialplan: bool) -> None:
        """Let a thread work on a channel; when it ends, so does the channel."""
        channel.in_dialplan = dialplan
        channel.thread = self.scheduler.spawn(script, lambda: self._thread_ended(channel))

    def _thread_ended(self, channel: Channel) -> None:
        channel.thread = None
        channel.ending = True
        self.part(channel)
        if channel.in_dialplan:
            self.records.hangs_up(channel)
            self.tell_soft_hangup(channel, SOFT_DIALPLAN_ENDED)
            if channel.context.startswith("extensions-dialplanid-"):
                channel.exten, channel.priority = "h", 1
                seconds = int(self.clock.time() - channel.answered) if channel.answered else 0
                self.run_application(channel, "NoOp", f"h: {seconds}")
                channel.priority = 2
        dialler, channel.dialler = channel.dialler, None
        if dialler is not None:
            dialler.ended(channel)
        self.destroy_channel(channel)

    def tell_soft_hangup(self, channel: Channel, reason: int) -> None:
        """SoftHangupRequest."""
        self._call("SoftHangupRequest", channel, f"Cause: {reason}\r\n")

    def destroy_channel(self, channel: Channel) -> None:
        """Hangup; the other half of a Local pair ends too."""
        if channel.gone:
            return
        channel.gone = channel.ending = True
        alone = channel.technology == "SIP" and not channel.in_dialplan
        if not channel.cause and (channel.bridged or alone):
            channel.cause = causes.NORMAL
        for timer in channel.timers:
            timer.cancel()
        for spy in channel.spies:
            spy.fire()
        del self.channels[channel.name]
        self.records.ended(channel)
        if channel.uniqueid == channel.linkedid:
            self.moods.pop(channel.linkedid, None)
        if channel.served is not None:
            channel.served.agent_ended()
        other = channel.local.other(channel) if channel.local is not None else None
        if other is not None and not other.gone:
            self._call("HangupRequest", other, f"Cause: {channel.cause}\r\n")
        tech = channel.tech_cause if not self.chan_sip else 0
        code = f"TechCause: {tech}\r\n" if tech else ""
        text = f"Cause: {channel.cause}\r\nCause-txt: {causes.words(channel.cause)}\r\n{code}"
        if self.chan_sip:  # which counts a call out before its channel is gone
            self.device_states.ended(channel)
        self._call("Hangup", channel, text)
        self.device_states.ended(channel)
        if other is not None:
            self.hang_up(other, channel.cause)

    # wording

    def _snapshot(self, channel: Channel, prefix: str = "") -> str:
        return channel.snapshot(prefix, self.options.channelvars)

    def _call(self, name: str, channel: Channel, headers: str = "") -> None:
        if self.announcer.wanted & classes.CALL:
            self.announcer.emit(name, classes.CALL, self._snapshot(channel) + headers)
