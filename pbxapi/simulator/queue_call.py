"""The application Queue: a caller waits, members ring for it, one of them talks to it.

Source: captures queue-call, queue-call-agent-hangup, queue-ring-noanswer-abandon and
queue-timeout-empty of both versions; Asterisk apps/app_queue.c, queue_exec(), try_calling(),
wait_for_answer(), rna().
"""

from collections.abc import Generator
from typing import Any, Final

from pbxapi.simulator import causes, dial, local, phones
from pbxapi.simulator.channels import Channel
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.queue_state import Member, Queue, Waiter
from pbxapi.simulator.scheduler import AsyncGoto, HungUp, Signal, Wait

#: Seconds after which a caller looks again whether it is its turn (RECHECK).
_RECHECK_S: Final = 1.0
_LEG: Final = ("AppQueue", "(Outgoing Line)")


class Ringing(dial.Attempt):
    """Members that ring at once for one caller."""

    application = "AppQueue"

    def __init__(self, pbx: Pbx, queue: Queue, caller: Channel) -> None:
        super().__init__(pbx, caller)
        self._queue = queue
        self._next: Member | None = None
        self._rung_at = pbx.clock.time()
        self.members: dict[Channel, Member] = {}

    def ring(self, member: Member) -> bool:
        """Call one member; False where its channel cannot be made."""
        self._next = member
        rings = self._call_one(member.interface)
        if rings:
            self._pbx.queues.pending.add(member.interface)
        return rings

    def _begin(self, leg: Channel, address: str) -> None:
        assert self._next is not None  # noqa: S101 - set by `ring` just before
        member = self.members[leg] = self._next
        self._legs[leg] = address
        leg.dialler = self
        channels = (self._caller, leg)
        self._pbx.queues.tell_agent("AgentCalled", self._queue, member, channels, "")
        dial_string = f"DialString: {member.interface}"
        self._pbx.tell_dial("DialBegin", self._caller, leg, dial_string)

    def ringing(self, channel: Channel) -> None:
        """A member's phone rings."""
        if channel in self._legs:
            self._pbx.tell_dial("DialState", self._caller, channel, "DialStatus: RINGING")

    def answered(self, channel: Channel) -> None:
        """A member answered: the others are cancelled."""
        if self._legs.pop(channel, None) is None:
            return
        self._pbx.queues.pending.discard(self.members[channel].interface)
        pbx, caller = self._pbx, self._caller
        pbx.tell_dial("DialEnd", caller, channel, "DialStatus: ANSWER")
        pbx.set_connected(caller, channel.caller_num, channel.caller_name)
        for other in tuple(self._legs):
            self._drop(other, "CANCEL", causes.ELSEWHERE)
        self.settled.fire(channel)

    def ended(self, channel: Channel, status: str = "") -> None:
        """A member turned the call down, or was lost."""
        called = channel in self._legs
        super().ended(channel, status)
        if called:
            self._pbx.queues.pending.discard(self.members[channel].interface)
            self._no_answer(channel)

    def cancel(self) -> None:
        """The caller is gone; app_queue says so twice."""
        for leg in self._legs:
            self._pbx.tell_dial("DialEnd", self._caller, leg, "DialStatus: CANCEL")
        self.give_up("CANCEL")

    def _drop(self, leg: Channel, status: str, cause: int) -> None:
        self._pbx.queues.pending.discard(self.members[leg].interface)
        super()._drop(leg, status, cause)

    def give_up_unanswered(self) -> None:
        """The members have rung for long enough."""
        for leg in tuple(self._legs):
            self._no_answer(leg)
            self._pbx.tell_dial("DialEnd", self._caller, leg, "DialStatus: NOANSWER")
        self.give_up("CANCEL")

    def _no_answer(self, leg: Channel) -> None:
        """AgentRingNoAnswer, whose time is in milliseconds; with autopause the member is paused."""
        member, queues = self.members[leg], self._pbx.queues
        rung_ms = round((self._pbx.clock.time() - self._rung_at) * 1000)
        channels, rest = (self._caller, leg), f"RingTime: {rung_ms}\r\n"
        queues.tell_agent("AgentRingNoAnswer", self._queue, member, channels, rest)
        if self._queue.config.autopause and not member.paused:
            queues.pause_member(self._queue, member, "Auto-Pause", paused=True)

    def rung_s(self) -> int:
        """Whole seconds since the members began to ring."""
        return int(self._pbx.clock.time() - self._rung_at)


class Talk:
    """A caller and a member who talk, until AgentComplete; the `Served` of the agent's channel."""

    def __init__(self, pbx: Pbx, queue: Queue, member: Member, waiter: Waiter) -> None:
        self._pbx = pbx
        self._queue = queue
        self._member = member
        self._caller = waiter.channel
        self._held_s = pbx.queues.now() - waiter.joined_at
        self._began = pbx.queues.now()
        self._agent: Channel | None = None
        self._over = False

    def carried_by(self, agent: Channel) -> None:
        """The agent's end is this channel from now on, as when a Local channel was optimised."""
        if self._agent is not None:
            self._agent.served = None
        self._agent = agent
        agent.served = self

    def agent_ended(self) -> None:
        """The agent's channel is gone; a caller who talks on was handed over.

        16 tells of the end of the call only when the caller's thread has noticed.
        """
        if self._caller.bridge is not None and not self._caller.ending:
            self._tell("transfer", self._agent)
        elif self._pbx.version > 16:  # noqa: PLR2004 - the version
            self._tell("caller" if self._caller.ending else "agent", self._agent)

    def complete(self, reason: str) -> None:
        """The caller's thread says that the call is over; an agent who is gone is not shown."""
        shown = self._agent is not None and not self._agent.gone
        self._tell(reason, self._agent if shown else None)

    def _tell(self, reason: str, agent: Channel | None) -> None:
        """AgentComplete, the first time; the call counts once, whoever says so first."""
        if self._over:
            return
        self._over = True
        if self._agent is not None:
            self._agent.served = None
        queues = self._pbx.queues
        queues.count(self._queue, self._member)
        rest = (
            f"HoldTime: {self._held_s}\r\nTalkTime: {queues.now() - self._began}\r\n"
            f"Reason: {reason}\r\n"
        )
        channels = (self._caller, agent)
        queues.tell_agent("AgentComplete", self._queue, self._member, channels, rest)


Steps = Generator[Wait, Any, None]


def run(pbx: Pbx, queue: Queue, caller: Channel) -> Steps:
    """Wait in a queue, and talk to a member; returns when the dial plan goes on."""
    config = queue.config
    full = config.maxlen and len(queue.waiters) >= config.maxlen
    if full or (not config.join_empty and queue.is_empty()):
        pbx.set_variable(caller, "QUEUESTATUS", "FULL" if full else "JOINEMPTY")
        return
    waiter = Waiter(caller, pbx.queues.now())
    ends_at = pbx.clock.time() + config.max_wait_s if config.max_wait_s else None
    pbx.queues.join(queue, waiter)
    pbx.tell("MusicOnHoldStart", caller, "Class: default\r\n")
    try:
        yield from _wait(pbx, queue, waiter, ends_at)
    except (HungUp, AsyncGoto):
        if waiter in queue.waiters:
            pbx.queues.abandon(queue, waiter)
        raise
    finally:
        pbx.queues.leave(queue, waiter)


def _wait(pbx: Pbx, queue: Queue, waiter: Waiter, ends_at: float | None) -> Steps:
    while not (status := _why_to_leave(pbx, queue, ends_at)):
        if not _is_our_turn(pbx, queue, waiter):
            yield from _pause(pbx, waiter, _RECHECK_S)
            continue
        waiter.trying = True
        try:
            ringing, agent = yield from _ring(pbx, queue, waiter, ends_at)
        finally:
            waiter.trying = False
        if agent is not None:
            talked = yield from _connect(pbx, queue, waiter, ringing, agent)
            if talked:
                return
        else:
            yield from _pause(pbx, waiter, queue.config.retry_s)
    pbx.queues.abandon(queue, waiter)
    pbx.tell("MusicOnHoldStop", waiter.channel)
    pbx.set_variable(waiter.channel, "QUEUESTATUS", status)


def _pause(pbx: Pbx, waiter: Waiter, seconds: float) -> Steps:
    try:
        yield Wait(timeout_s=seconds)
    except (HungUp, AsyncGoto):
        pbx.tell("MusicOnHoldStop", waiter.channel)
        raise


def _why_to_leave(pbx: Pbx, queue: Queue, ends_at: float | None) -> str:
    """QUEUESTATUS of a caller who has waited for long enough; "" = it waits on."""
    if ends_at is not None and pbx.clock.time() >= ends_at:
        return "TIMEOUT"
    return "LEAVEEMPTY" if queue.config.leave_when_empty and queue.is_empty() else ""


def _is_our_turn(pbx: Pbx, queue: Queue, waiter: Waiter) -> bool:
    """With `autofill`: as many callers try at once as members are free."""
    before = sum(not other.trying for other in queue.waiters[: queue.position(waiter) - 1])
    return queue.available(pbx.queues.now()) > before


def _heavier_waits(pbx: Pbx, queue: Queue, member: Member) -> bool:
    """Whether a queue of more weight needs this member (compare_weight)."""
    now = pbx.queues.now()
    return any(
        other.config.weight > queue.config.weight and 0 < other.available(now) <= len(other.waiters)
        for other, _ in pbx.queues.of_interface(member.interface)
        if other is not queue
    )


Rung = Generator[Wait, Any, tuple[Ringing, Channel | None]]


def _ring(pbx: Pbx, queue: Queue, waiter: Waiter, ends_at: float | None) -> Rung:
    """One attempt: the best members ring, until one answers or the time is over."""
    ringing = Ringing(pbx, queue, waiter.channel)
    now, best = pbx.queues.now(), None
    for metric, member in queue.in_turn(now):
        if best is not None and (metric > best or queue.config.strategy != "ringall"):
            break
        fit = (
            queue.can_ring(member, now)
            and member.interface not in pbx.queues.pending
            and not _heavier_waits(pbx, queue, member)
        )
        if fit and ringing.ring(member):
            best = metric
    queue.next_member = (queue.next_member + 1) % max(1, len(queue.members))
    if best is None:
        return ringing, None
    timeout_s = queue.config.timeout_s
    if ends_at is not None:
        timeout_s = min(timeout_s, max(0.0, ends_at - pbx.clock.time()))
    try:
        agent = yield Wait(ringing.settled, timeout_s)
    except (HungUp, AsyncGoto):
        pbx.tell("MusicOnHoldStop", waiter.channel)
        ringing.cancel()
        raise
    if agent is not None and not agent.ending:
        return ringing, agent
    ringing.give_up_unanswered()
    return ringing, None


def _connect(
    pbx: Pbx, queue: Queue, waiter: Waiter, ringing: Ringing, agent: Channel
) -> Generator[Wait, Any, bool]:
    """Put the caller through; False where the agent was gone before that."""
    caller, member, rung_s = waiter.channel, ringing.members[agent], ringing.rung_s()
    in_sl = queue.answered(pbx.queues.now() - waiter.joined_at)
    if queue.config.announce_s:
        try:
            yield Wait(timeout_s=queue.config.announce_s)
        except (HungUp, AsyncGoto):
            pbx.hang_up(agent)
            raise
        if agent.ending or agent.gone:
            channels = (caller, agent)
            pbx.queues.tell_agent("AgentDump", queue, member, channels, "")
            return False
    pbx.tell("MusicOnHoldStop", caller)
    pbx.queues.leave(queue, waiter)
    held_s = pbx.queues.now() - waiter.joined_at
    rest = f"HoldTime: {held_s}\r\nRingTime: {rung_s}\r\n"
    pbx.queues.tell_agent("AgentConnect", queue, member, (caller, agent), rest)
    pbx.queues.connect(member, in_sl=in_sl)
    talk = Talk(pbx, queue, member, waiter)
    talk.carried_by(agent)
    try:
        yield from _bridge(pbx, caller, agent)
    except HungUp:
        talk.complete("caller")
        raise
    except AsyncGoto:
        talk.complete("transfer")
        raise
    talk.complete("agent")
    return True


def _bridge(pbx: Pbx, caller: Channel, agent: Channel) -> Steps:
    """The caller talks to the agent until one of them leaves."""
    bridge = pbx.create_bridge()
    pbx.run_application(agent, *_LEG)
    pbx.enter_bridge(bridge, agent)
    pbx.enter_bridge(bridge, caller)
    for channel in (agent, caller):
        phones.start_talking(pbx, channel)
        if channel.local is not None:
            pair = channel.local
            pbx.scheduler.post(lambda pair=pair: local.optimise(pbx, pair))  # type: ignore[misc]  # mypy has no types for defaults of a lambda
    caller.released = Signal()
    yield Wait(caller.released)
    caller.cause = causes.NORMAL
