"""One queue, its members and its waiters, with the arithmetic of app_queue.

Nothing here sends events: queues.py and queue_call.py change this state and tell about it.

All moments are whole seconds, as app_queue takes them. Source: Asterisk apps/app_queue.c 16.28 and
22.10, recalc_holdtime(), update_queue(), record_abandoned(), manager_queues_status().
"""

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pbxapi.simulator.device_states import DeviceState
from pbxapi.simulator.queue_config import QueueConfig

if TYPE_CHECKING:
    from pbxapi.simulator.channels import Channel

#: States in which a device is not there at all.
GONE: Final = frozenset({DeviceState.UNAVAILABLE, DeviceState.INVALID})
#: States in which a member can be called.
FREE: Final = frozenset({DeviceState.NOT_INUSE, DeviceState.UNKNOWN})

#: What one step of penalty weighs in the choice of a member.
_PENALTY: Final = 1_000_000


def _float32(number: float) -> float:
    rounded: float = struct.unpack("f", struct.pack("f", number))[0]
    return rounded


def percent(part: int, whole: int) -> str:
    """`%2.1f` of a percentage in C's `float`; 0.0 of nothing."""
    share = _float32(100 * _float32(part / whole)) if whole > 0 else 0.0
    return f"{share:.1f}"


@dataclass(slots=True, eq=False)
class Member:
    """One member of one queue.

    Attributes:
        dynamic: Added at run time, and not by the configuration.
        calls, last_call: Answered calls, and the end of the last one.
        last_pause, login_at: Moments.
        started_at: Beginning of the call that it is in and that is not counted yet; 0 = none.
    """

    interface: str
    name: str
    state_interface: str
    penalty: int = 0
    dynamic: bool = False
    paused: bool = False
    paused_reason: str = ""
    ring_in_use: bool = False
    status: DeviceState = DeviceState.UNKNOWN
    calls: int = 0
    last_call: int = 0
    last_pause: int = 0
    login_at: int = 0
    started_at: int = 0

    @property
    def in_call(self) -> bool:
        """Whether it talks to a caller of this queue."""
        return self.started_at != 0

    @property
    def free(self) -> bool:
        """Whether it could be called, wrap-up time apart."""
        talking = self.ring_in_use and self.status is DeviceState.INUSE
        return not self.paused and (self.status in FREE or talking)

    @property
    def membership(self) -> str:
        """`dynamic` or `static`."""
        return "dynamic" if self.dynamic else "static"


@dataclass(slots=True, eq=False)
class Waiter:
    """A caller who waits.

    Attributes:
        joined_at: When it joined.
        original_position: Where it joined.
        trying: Members ring for it.
    """

    channel: "Channel"
    joined_at: int
    priority: int = 0
    original_position: int = 0
    trying: bool = False


@dataclass(slots=True, eq=False)
class Queue:
    """Counters, members by interface, and waiters in order.

    Attributes:
        hold_time, talk_time: Moving averages in seconds, of whole numbers and rounded down.
        completed, abandoned: Calls that ended so; `…_in_sl` of them within the service level.
        next_member: Where the next round begins (rrmemory, rrordered).
    """

    config: QueueConfig
    members: dict[str, Member] = field(default_factory=dict)
    waiters: list[Waiter] = field(default_factory=list)
    completed: int = 0
    abandoned: int = 0
    completed_in_sl: int = 0
    abandoned_in_sl: int = 0
    hold_time: int = 0
    talk_time: int = 0
    next_member: int = 0

    @property
    def name(self) -> str:
        """Its name."""
        return self.config.name

    @property
    def service_perf(self) -> str:
        """`ServicelevelPerf`: of the completed calls."""
        return percent(self.completed_in_sl, self.completed)

    @property
    def service_perf2(self) -> str:
        """`ServicelevelPerf2`: of all calls."""
        within = self.completed_in_sl + self.abandoned_in_sl
        return percent(within, self.completed + self.abandoned)

    def answered(self, held_s: int) -> bool:
        """A member answered; whether that was within the service level."""
        if self.completed + self.abandoned == 0:
            self.hold_time = held_s
        else:
            self.hold_time = (3 * self.hold_time + held_s) >> 2
        return held_s <= self.config.servicelevel_s

    def complete(self, member: Member, now: int, *, in_sl: bool) -> None:
        """The call of a member ended."""
        talked_s = now - member.started_at
        member.started_at = 0
        member.last_call = now
        member.calls += 1
        self.completed += 1
        self.completed_in_sl += in_sl
        if self.completed == 1:
            self.talk_time = talked_s
        else:
            self.talk_time = (3 * self.talk_time + talked_s) >> 2

    def abandon(self, held_s: int) -> None:
        """A caller left without having talked to anybody."""
        self.abandoned += 1
        self.abandoned_in_sl += held_s <= self.config.servicelevel_s

    def reset(self) -> None:
        """Forget all counters (QueueReset)."""
        self.completed = self.abandoned = 0
        self.completed_in_sl = self.abandoned_in_sl = 0
        self.hold_time = self.talk_time = 0
        for member in self.members.values():
            member.calls = member.last_call = 0

    # waiting

    def join(self, waiter: Waiter) -> int:
        """Put a caller in behind those of the same or higher priority; returns its position."""
        place = sum(other.priority >= waiter.priority for other in self.waiters)
        self.waiters.insert(place, waiter)
        waiter.original_position = place + 1
        return place + 1

    def position(self, waiter: Waiter) -> int:
        """Its position, from 1."""
        return self.waiters.index(waiter) + 1

    def is_empty(self) -> bool:
        """Whether nobody could take a call: no member, or none that is there and not paused."""
        return all(m.paused or m.status in GONE for m in self.members.values())

    def has_free_member(self) -> bool:
        """Whether some member could be called, wrap-up time apart."""
        return any(member.free for member in self.members.values())

    def available(self, now: int) -> int:
        """How many members could be called now."""
        return sum(self.can_ring(member, now) for member in self.members.values())

    def can_ring(self, member: Member, now: int) -> bool:
        """Whether a member could be called now."""
        rested = now - member.last_call >= self.config.wrapuptime_s or not member.last_call
        return member.free and rested and not member.in_call

    def in_turn(self, now: int) -> list[tuple[int, Member]]:
        """Members with their metric, the best first (calc_metric)."""
        ranked = [(self._metric(p, m, now), m) for p, m in enumerate(self.members.values())]
        return sorted(ranked, key=lambda pair: pair[0])

    def _metric(self, place: int, member: Member, now: int) -> int:
        base = member.penalty * _PENALTY
        match self.config.strategy:
            case "ringall":
                return base
            case "leastrecent":
                since = now - member.last_call
                return base + (max(0, _PENALTY - since) if member.last_call else 0)
            case "fewestcalls":
                return base + member.calls
            case "linear":
                return base + place
            case _:
                return base + (place - self.next_member) % max(1, len(self.members))
