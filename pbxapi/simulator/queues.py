"""All queues of the PBX: their members come, go, pause and change, and the events of that.

Source of events and their order: captures queue-members, queue-call, queue-ring-noanswer-abandon of
both versions; apps/app_queue.c, device_state_cb(), update_status(), set_member_paused().
"""

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pbxapi.simulator import classes
from pbxapi.simulator.channels import Channel
from pbxapi.simulator.device_states import DeviceState
from pbxapi.simulator.queue_config import MemberConfig, QueueConfig
from pbxapi.simulator.queue_state import Member, Queue, Waiter

if TYPE_CHECKING:
    from pbxapi.simulator.pbx import Pbx


class Queues:
    """Queues by name, in the order of the configuration.

    Attributes:
        config: What queues.conf says; it counts from the next reload on.
        pending: Interfaces that are being called, before their devices say so.
    """

    def __init__(self, pbx: "Pbx", config: Iterable[QueueConfig]) -> None:
        self._pbx = pbx
        self._queues: dict[str, Queue] = {}
        self._followed: dict[str, list[tuple[Queue, Member]]] = {}
        self._available: dict[str, bool] = {}
        self._in_sl: dict[Member, bool] = {}
        self._extens: dict[str, str] = {}
        self.config = tuple(config)
        self.pending: set[str] = set()
        self.reload()
        for queue in self._queues.values():
            for member in queue.config.members:
                if member.dynamic:
                    self._take_in(queue, member)
            self._available[queue.name] = queue.has_free_member()
        pbx.device_states.followers.append(self._device_changed)

    # looking up

    def get(self, name: str) -> Queue | None:
        """The queue of this name."""
        return self._queues.get(name)

    def __getitem__(self, name: str) -> Queue:
        return self._queues[name]

    def values(self) -> Iterable[Queue]:
        """All queues."""
        return self._queues.values()

    def at(self, exten: str) -> Queue | None:
        """The queue that a number leads to."""
        return self._queues.get(self._extens.get(exten, ""))

    def extens(self) -> Iterable[str]:
        """Numbers that lead to queues."""
        return self._extens

    def now(self) -> int:
        """The moment in whole seconds, as app_queue takes it."""
        return int(self._pbx.clock.time())

    def of_interface(self, interface: str, queue: str = "") -> list[tuple[Queue, Member]]:
        """The memberships of an interface, in one queue or in all."""
        chosen = self._queues.values() if not queue else filter(None, [self._queues.get(queue)])
        return [(q, q.members[interface]) for q in chosen if interface in q.members]

    # the configuration

    def reload(self) -> None:
        """Take over queues.conf, without an event: queues and static members come and go."""
        wanted = {config.name: config for config in self.config}
        for name in self._queues.keys() - wanted.keys():
            for member in self._queues.pop(name).members.values():
                self._unfollow(member)
        for name, config in wanted.items():
            queue = self._queues.get(name)
            if queue is None:
                queue = self._queues[name] = Queue(config)
            queue.config = config
            self._reload_members(queue)
            self._available[name] = queue.has_free_member()
        self._queues = {name: self._queues[name] for name in wanted}
        self._extens = {config.exten: config.name for config in self.config if config.exten}

    def _reload_members(self, queue: Queue) -> None:
        wanted = {m.interface: m for m in queue.config.members if not m.dynamic}
        for member in [m for m in queue.members.values() if not m.dynamic]:
            if member.interface not in wanted:
                self._drop(queue, member)
        for config in wanted.values():
            known = queue.members.get(config.interface)
            if known is None:
                self._take_in(queue, config)
            elif not known.dynamic:
                known.name, known.penalty = config.name, config.penalty

    def start_again(self) -> None:
        """A new run of the PBX: counters are gone; dynamic members are where they are kept."""
        kept = {
            queue.name: [member for member in queue.members.values() if member.dynamic]
            for queue in self._queues.values()
        }
        self._queues.clear()
        self._followed.clear()
        self._available.clear()
        self._in_sl.clear()
        self.pending.clear()
        self.reload()
        if not self._pbx.options.persistent_members:
            return
        for queue in self._queues.values():
            for old in kept.get(queue.name, ()):
                config = MemberConfig(
                    interface=old.interface,
                    name=old.name,
                    state_interface=old.state_interface,
                    penalty=old.penalty,
                    paused=old.paused,
                    dynamic=True,
                )
                member = self._take_in(queue, config)
                member.paused_reason = old.paused_reason

    # members

    def _take_in(self, queue: Queue, config: MemberConfig) -> Member:
        now = self.now()
        device = config.state_interface or config.interface
        member = Member(
            config.interface,
            config.name or config.interface,
            device,
            penalty=config.penalty,
            dynamic=config.dynamic,
            paused=config.paused,
            ring_in_use=queue.config.ring_in_use,
            status=self._pbx.device_states.of(device),
            last_pause=now if config.paused else 0,
            login_at=now,
        )
        queue.members[member.interface] = member
        self._followed.setdefault(device, []).append((queue, member))
        return member

    def _drop(self, queue: Queue, member: Member) -> None:
        del queue.members[member.interface]
        self._unfollow(member)

    def _unfollow(self, member: Member) -> None:
        device = member.state_interface
        self._followed[device] = [p for p in self._followed[device] if p[1] is not member]

    def add_member(self, queue: Queue, config: MemberConfig) -> Member | None:
        """QueueMemberAdded; None where the interface is a member already."""
        config = dataclasses.replace(config, dynamic=True)
        if config.interface in queue.members:
            return None
        member = self._take_in(queue, config)
        self._tell_pause_device(queue, member)
        self._tell("QueueMemberAdded", queue, member)
        self._follow_available(queue)
        return member

    def remove_member(self, queue: Queue, member: Member) -> None:
        """QueueMemberRemoved."""
        self._drop(queue, member)
        self._tell("QueueMemberRemoved", queue, member)
        self._follow_available(queue)

    def pause_member(self, queue: Queue, member: Member, reason: str, *, paused: bool) -> None:
        """QueueMemberPause, also for one that is paused already."""
        member.paused = paused
        member.paused_reason = reason if paused else ""
        if paused:
            member.last_pause = self.now()
        self._tell_pause_device(queue, member)
        shown = f"Reason: {reason}\r\n" if reason and self._pbx.version == 16 else ""  # noqa: PLR2004 - the version
        self._tell("QueueMemberPause", queue, member, shown)
        self._follow_available(queue)

    def set_penalty(self, queue: Queue, member: Member, penalty: int) -> None:
        """QueueMemberPenalty."""
        member.penalty = penalty
        self._tell("QueueMemberPenalty", queue, member)

    def set_ring_in_use(self, queue: Queue, member: Member, *, ring: bool) -> None:
        """QueueMemberRinginuse."""
        member.ring_in_use = ring
        self._tell("QueueMemberRinginuse", queue, member)

    def _device_changed(self, device: str, state: DeviceState) -> None:
        for queue, member in self._followed.get(device, ()):
            if member.status is state:
                continue
            member.status = state
            if state is DeviceState.NOT_INUSE:
                self.count(queue, member)
            self._tell("QueueMemberStatus", queue, member)
            self._follow_available(queue)

    # calls

    def connect(self, member: Member, *, in_sl: bool) -> None:
        """A member begins to talk to a caller; there is no event of that."""
        member.started_at = self.now()
        self._in_sl[member] = in_sl

    def count(self, queue: Queue, member: Member) -> None:
        """The call of a member ended, as its device or its channel says; the first one counts."""
        if member.in_call:
            queue.complete(member, self.now(), in_sl=self._in_sl.pop(member, False))

    def join(self, queue: Queue, waiter: Waiter) -> None:
        """QueueCallerJoin."""
        position = queue.join(waiter)
        if len(queue.waiters) == 1:
            self._pbx.device_states.tell(f"Queue:{queue.name}", DeviceState.RINGING)
        headers = f"Position: {position}\r\nCount: {len(queue.waiters)}\r\n"
        self.tell_caller("QueueCallerJoin", queue, waiter.channel, headers)

    def leave(self, queue: Queue, waiter: Waiter) -> None:
        """QueueCallerLeave; harmless when it has left already."""
        if waiter not in queue.waiters:
            return
        position = queue.position(waiter)
        queue.waiters.remove(waiter)
        if not queue.waiters:
            self._pbx.device_states.tell(f"Queue:{queue.name}", DeviceState.NOT_INUSE)
        headers = f"Position: {position}\r\nCount: {len(queue.waiters)}\r\n"
        self.tell_caller("QueueCallerLeave", queue, waiter.channel, headers)

    def abandon(self, queue: Queue, waiter: Waiter) -> None:
        """QueueCallerAbandon: the caller gave up, or has waited for long enough."""
        held_s = self.now() - waiter.joined_at
        queue.abandon(held_s)
        position = queue.position(waiter) if waiter in queue.waiters else 1
        headers = (
            f"Position: {position}\r\nOriginalPosition: {waiter.original_position}\r\n"
            f"HoldTime: {held_s}\r\n"
        )
        self.tell_caller("QueueCallerAbandon", queue, waiter.channel, headers)

    # wording

    def tell_caller(self, name: str, queue: Queue, channel: Channel, headers: str) -> None:
        """An event about a caller of a queue."""
        if self._pbx.announcer.wanted & classes.AGENT:
            about = channel.snapshot("", self._pbx.options.channelvars)
            text = f"{about}Queue: {queue.name}\r\n{headers}"
            self._pbx.announcer.emit(name, classes.AGENT, text)

    def tell_agent(
        self,
        name: str,
        queue: Queue,
        member: Member,
        channels: tuple[Channel, Channel | None],
        rest: str,
    ) -> None:
        """An event about a caller and the agent who is called for it, or talks to it."""
        if self._pbx.announcer.wanted & classes.AGENT:
            caller, agent = channels
            channelvars = self._pbx.options.channelvars
            about = agent.snapshot("Dest", channelvars) if agent is not None else ""
            text = (
                f"{caller.snapshot('', channelvars)}{about}"
                f"Queue: {queue.name}\r\nInterface: {member.interface}\r\n"
                f"MemberName: {member.name}\r\n{rest}"
            )
            self._pbx.announcer.emit(name, classes.AGENT, text)

    def _tell(self, name: str, queue: Queue, member: Member, rest: str = "") -> None:
        if self._pbx.announcer.wanted & classes.AGENT:
            text = (
                f"Queue: {queue.name}\r\nMemberName: {member.name}\r\n"
                f"Interface: {member.interface}\r\n{describe(member)}"
                f"Ringinuse: {int(member.ring_in_use)}\r\nWrapuptime: 0\r\n{rest}"
            )
            self._pbx.announcer.emit(name, classes.AGENT, text)

    def _tell_pause_device(self, queue: Queue, member: Member) -> None:
        state = DeviceState.INUSE if member.paused else DeviceState.NOT_INUSE
        self._pbx.device_states.tell(f"Queue:{queue.name}_pause_{member.interface}", state)

    def _follow_available(self, queue: Queue) -> None:
        available = queue.has_free_member()
        if self._available.get(queue.name, False) is not available:
            self._available[queue.name] = available
            state = DeviceState.NOT_INUSE if available else DeviceState.INUSE
            self._pbx.device_states.tell(f"Queue:{queue.name}_avail", state)


def describe(member: Member) -> str:
    """What events and lists say of a member in the same words."""
    return (
        f"StateInterface: {member.state_interface}\r\nMembership: {member.membership}\r\n"
        f"Penalty: {member.penalty}\r\nCallsTaken: {member.calls}\r\n"
        f"LastCall: {member.last_call}\r\nLastPause: {member.last_pause}\r\n"
        f"LoginTime: {member.login_at}\r\nInCall: {int(member.in_call)}\r\n"
        f"Status: {member.status.value}\r\nPaused: {int(member.paused)}\r\n"
        f"PausedReason: {member.paused_reason}\r\n"
    )
