"""Local channels: making the two halves, starting the second, optimising both away.

Source: captures originate-local, transfer-attended-ami; Asterisk main/core_local.c, local_call(),
local_optimization_started_cb(). The direction of the swap is that of the 22 capture.
"""

from pbxapi.simulator import causes, classes
from pbxapi.simulator.channels import Channel, LocalPair, State
from pbxapi.simulator.pbx import PRESENTATION, Pbx


def request(
    pbx: Pbx, dial_string: str, *, uniqueid: str = "", other_id: str = "", linkedid: str = ""
) -> LocalPair:
    """Make both halves of `Local/exten@context[/n]`; nothing runs on them yet."""
    where, _, flags = dial_string.partition("/")
    exten, _, context = where.partition("@")
    context = context or "default"
    serial = pbx.next_serial("Local")
    if uniqueid:  # whoever chose only the first id gets it again with an ending
        other_id = other_id or f"{uniqueid};2"
    uniqueid = uniqueid or pbx.next_uniqueid()
    other_id = other_id or pbx.next_uniqueid()
    linkedid = linkedid or uniqueid
    halves = [
        Channel(
            name=f"Local/{exten}@{context}-{serial:08x};{half}",
            technology="Local",
            uniqueid=unique,
            linkedid=linkedid,
            created=pbx.clock.time(),
            state=State.DOWN if half == 1 else State.RING,
            context=context,
            exten=exten,
        )
        for half, unique in ((1, uniqueid), (2, other_id))
    ]
    one, two = halves
    pair = LocalPair(one, two, context=context, exten=exten, optimise="n" not in flags)
    for half in halves:
        half.local = pair
        pbx.add_channel(half)
    return pair


def call(pbx: Pbx, pair: LocalPair) -> bool:
    """Start the dial plan on `;2`; False, and its end, where the extension does not exist."""
    one, two = pair.one, pair.two
    if not pbx.dialplan.exists(pair.context, pair.exten):
        pair.two.local = None  # the first half is its caller's to end
        pbx.hang_up(two)
        return False
    _take_over(pbx, one, two)
    for name, value in one.variables.items():
        pbx.set_variable(two, "_" * one.inherit.get(name, 0) + name, value)
    optimisation = "Yes" if pair.optimise else "No"
    text = (
        f"{one.snapshot('LocalOne', pbx.options.channelvars)}"
        f"{two.snapshot('LocalTwo', pbx.options.channelvars)}"
        f"Context: {pair.context}\r\nExten: {pair.exten}\r\nLocalOptimization: {optimisation}\r\n"
    )
    pbx.announcer.emit("LocalBridge", classes.CALL, text)
    script = pbx.dialplan.run(two, pair.context, pair.exten)
    pbx.run_thread(two, script, dialplan=True)
    return True


def _take_over(pbx: Pbx, one: Channel, two: Channel) -> None:
    """`;2` gets the parties of `;1`, the other way round; the events follow the whole change."""
    old_code, two.accountcode = two.accountcode, one.accountcode
    two.caller_num, two.caller_name = one.connected_num, one.connected_name
    two.connected_num, two.connected_name = one.caller_num, one.caller_name
    if two.caller_num or two.caller_name:
        pbx.tell("NewCallerid", two, PRESENTATION)
    if two.accountcode != old_code:
        pbx.tell("NewAccountCode", two, f"OldAccountCode: {old_code}\r\n")
    if two.connected_num or two.connected_name:
        pbx.tell("NewConnectedLine", two)


def ringing(pbx: Pbx, second: Channel) -> None:
    """`;2` heard ringing: so does whoever called `;1`."""
    if second.local is None:
        return
    one = second.local.one
    if one.state is State.DOWN and not one.gone:
        _progress(pbx, one, State.RINGING)
        if one.dialler is not None:
            one.dialler.ringing(one)


def _progress(pbx: Pbx, one: Channel, state: State) -> None:
    """`;1` gets on, and becomes whom `;2` is connected to; its new state shows that already."""
    two = one.local.two if one.local is not None else one
    party = (two.connected_num, two.connected_name)
    changed = (one.caller_num, one.caller_name) != party
    one.caller_num, one.caller_name = party
    pbx.set_state(one, state)
    if changed:
        pbx.tell("NewCallerid", one, PRESENTATION)


def answer(pbx: Pbx, second: Channel) -> None:
    """`;2` was answered by what it executes: so is the call to `;1`."""
    if second.local is None:
        return
    one = second.local.one
    if one.state is State.UP or one.gone:
        return
    _progress(pbx, one, State.UP)
    dialler, one.dialler = one.dialler, None
    if dialler is not None:
        dialler.answered(one)


def tone(pbx: Pbx, channel: Channel, cause: int) -> None:
    """Busy or Congestion on a channel that is not up: whoever called its Local pair hears it."""
    if channel.state is State.UP:
        return
    channel.cause = cause
    pbx.set_state(channel, State.BUSY)
    if not channel.is_second_half or channel.local is None:
        return
    one = channel.local.one
    dialler, one.dialler = one.dialler, None
    if dialler is not None:
        dialler.ended(one, "BUSY" if cause == causes.BUSY else "CONGESTION")
        pbx.hang_up(one)


def optimise(pbx: Pbx, pair: LocalPair) -> None:
    """Once both halves are bridged, bridge their parties directly and drop the halves."""
    one, two = pair.one, pair.two
    if not pair.optimise or one.bridge is None or two.bridge is None:
        return
    near, far = one.bridge, two.bridge
    if near.parting is not None:
        return  # a transfer that is not complete keeps its halves
    party = next((member for member in far.members if member is not two), None)
    if party is None or len(near.members) == 1 or one.ending or two.ending:
        return
    number, pbx.optimisations = pbx.optimisations, pbx.optimisations + 1
    channelvars = pbx.options.channelvars
    text = (
        f"{one.snapshot('LocalOne', channelvars)}{two.snapshot('LocalTwo', channelvars)}"
        f"{party.snapshot('Source', channelvars)}DestUniqueId: {two.uniqueid}\r\nId: {number}\r\n"
    )
    pbx.announcer.emit("LocalOptimizationBegin", classes.CALL, text)
    pbx.leave_bridge(party)
    pbx.leave_bridge(one)
    pbx.enter_bridge(near, party, swap=one)
    pbx.set_caller(two, one.connected_num, one.connected_name)
    text = (
        f"{one.snapshot('LocalOne', channelvars)}{two.snapshot('LocalTwo', channelvars)}"
        f"Success: No\r\nId: {number}\r\n"
    )
    pbx.announcer.emit("LocalOptimizationEnd", classes.CALL, text)
    pbx.leave_bridge(two)
    pbx.destroy_bridge(far)
    pbx.hang_up(two, causes.NORMAL)
    pbx.hang_up(one, causes.NORMAL)
