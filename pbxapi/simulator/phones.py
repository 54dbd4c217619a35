"""What a phone does with a call that reaches it, and how a phone makes one.

Source of order and causes: captures phone-call, originate-busy, originate-noanswer.
"""

from pbxapi.simulator import causes
from pbxapi.simulator.channels import Channel, State
from pbxapi.simulator.options import Behaviour, Device
from pbxapi.simulator.pbx import Pbx


def is_reachable(pbx: Pbx, device: Device | None) -> bool:
    """Whether a call to it gets as far as a channel."""
    return device is not None and pbx.peers.answers(device.name)


def receive(pbx: Pbx, channel: Channel, device: Device) -> None:
    """A call reaches a phone; the rest follows by itself, as the phone behaves."""
    mood = pbx.moods.get(channel.linkedid)
    if mood is not None and not device.trunk:
        device = mood()
        channel.talk_s = device.talk_s if device.talk_s is not None else channel.talk_s
    channel.called = True
    if pbx.chan_sip:  # it counts as ringing from the INVITE on
        pbx.device_states.changed(channel)
    later = pbx.scheduler.later
    match device.behaviour:
        case Behaviour.BUSY:
            act = later(device.ring_after_s, lambda: refuse(pbx, channel, causes.BUSY))
            channel.timers.append(act)
        case Behaviour.REJECTS:
            channel.timers.append(later(device.ring_after_s, lambda: ring(pbx, channel)))
            moment = device.ring_after_s + device.answer_after_s
            act = later(moment, lambda: refuse(pbx, channel, causes.REJECTED))
            channel.timers.append(act)
        case Behaviour.RINGS:
            channel.timers.append(later(device.ring_after_s, lambda: ring(pbx, channel)))
        case Behaviour.ANSWERS:
            channel.timers.append(later(device.ring_after_s, lambda: ring(pbx, channel)))
            moment = device.ring_after_s + device.answer_after_s
            channel.timers.append(later(moment, lambda: answer(pbx, channel)))
        case Behaviour.UNREGISTERED:
            refuse(pbx, channel, causes.unreachable(chan_sip=pbx.chan_sip))


def ring(pbx: Pbx, channel: Channel) -> None:
    """The phone rings."""
    if channel.ending or channel.state is not State.DOWN:
        return
    pbx.set_state(channel, State.RINGING)
    pbx.device_states.changed(channel, again=pbx.chan_sip)
    if channel.dialler is not None:
        channel.dialler.ringing(channel)


def answer(pbx: Pbx, channel: Channel) -> None:
    """The phone is picked up."""
    if channel.ending or channel.state is State.UP:
        return
    pbx.set_state(channel, State.UP)
    dialler, channel.dialler = channel.dialler, None
    if dialler is not None:
        dialler.answered(channel)


def refuse(pbx: Pbx, channel: Channel, cause: int) -> None:
    """The phone turns the call down."""
    if channel.ending or channel.state is State.UP:
        return
    if not pbx.chan_sip:
        pbx.request_hangup(channel, cause, causes.SIP_CODES.get(cause, 0))
    else:
        pbx.hang_up(channel, cause)


def start_talking(pbx: Pbx, channel: Channel) -> None:
    """The call is through: the phone hangs up when it has talked for long enough."""
    if channel.talk_s is not None:
        channel.timers.append(
            pbx.scheduler.later(channel.talk_s, lambda: pbx.request_hangup(channel))
        )
        channel.talk_s = None


def dial_in(
    pbx: Pbx, device: Device, exten: str, *, number: str = "", talk_s: float | None = None
) -> Channel:
    """A phone or trunk begins a call: its channel up to the moment the dial plan takes over.

    Args:
        pbx: The PBX.
        device: Who calls.
        exten: What it dials.
        number: Caller id shown, for a trunk.
        talk_s: Overrides the device's own.
    """
    ring_at_once = not pbx.chan_sip
    channel = pbx.new_device_channel(
        device,
        exten=exten,
        state=State.RING if ring_at_once else State.DOWN,
        caller_num=number or device.number,
        caller_name=number or device.caller_name,
        talk_s=device.talk_s if talk_s is None else talk_s,
    )
    if pbx.chan_sip:
        pbx.set_variable(channel, "SIPURI", f"sip:{device.name}@127.0.0.1:5060")
    pbx.set_variable(channel, "SIPDOMAIN", "127.0.0.1")
    pbx.set_state(channel, State.RING)
    pbx.calls_processed += 1
    return channel
