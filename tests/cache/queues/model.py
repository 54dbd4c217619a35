"""A model of app_queue: queues that change, the events that tell of it, and lists of the moment.

It counts as app_queue does, and raises its events at the same places: AgentConnect and
AgentComplete before the member and the counters change, QueueMemberStatus after.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from pbxapi.ami.message import Message
from tests.cache.replay import message

Headers = dict[str, object]

#: A thread that has raised an event and waits for its turn to change what it told.
STEP_S = 0.08


@dataclass
class ModelMember:
    interface: str
    paused: int = 0
    penalty: int = 0
    status: int = 1
    calls: int = 0
    last_call: int = 0
    answered_at: int = 0
    dynamic: bool = True

    def headers(self, *, in_list: bool) -> Headers:
        interface, name = ("Location", "Name") if in_list else ("Interface", "MemberName")
        return {
            name: f"Agent {self.interface}",
            interface: self.interface,
            "StateInterface": f"SIP/{self.interface}",
            "Membership": "dynamic" if self.dynamic else "static" if in_list else "realtime",
            "Penalty": self.penalty,
            "CallsTaken": self.calls,
            "LastCall": self.last_call,
            "LastPause": 0,
            "LoginTime": 1,
            "InCall": int(bool(self.answered_at)),
            "Status": self.status,
            "Paused": self.paused,
        }


@dataclass
class ModelCaller:
    uniqueid: str
    start: int
    connected: str = ""


@dataclass
class ModelQueue:
    name: str
    holdtime: int = 0
    talktime: int = 0
    completed: int = 0
    abandoned: int = 0
    members: dict[str, ModelMember] = field(default_factory=dict)
    callers: list[ModelCaller] = field(default_factory=list)


@dataclass
class ModelPbx:
    """Queues of one Asterisk.

    Attributes:
        now: Its clock.
        waiting: Events that were raised and not delivered yet.
        steps: What happens a moment after an event was raised, and when it has happened at last.
    """

    now: float = 1_795_460_000.0
    queues: dict[str, ModelQueue] = field(default_factory=dict)
    waiting: list[Message] = field(default_factory=list)
    steps: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    shared_lastcall: bool = True
    _last: int = 0

    @property
    def second(self) -> int:
        return int(self.now)

    def raise_event(self, name: str, queue: str, headers: Headers) -> None:
        texts = {key: str(value) for key, value in headers.items()}
        self.waiting.append(message(name, Queue=queue, **texts))

    def pass_time(self, seconds: float) -> None:
        """Time passes, and what takes a moment gets done."""
        self.now += seconds
        self.step(until=self.now)

    def step(self, until: float = math.inf) -> None:
        """Do what is due by then."""
        while self.steps and self.steps[0][0] <= until:
            self.steps.pop(0)[1]()

    # -- what happens

    def join(self, name: str, position: int = 0) -> str:
        queue = self.queues[name]
        self._last += 1
        caller = ModelCaller(f"u.{self._last}", self.second)
        at = min(position, len(queue.callers)) if position else len(queue.callers)
        queue.callers.insert(at, caller)
        place = {"Position": at + 1, "Count": len(queue.callers)}
        self.raise_event("QueueCallerJoin", name, _caller(caller, "<unknown>") | place)
        return caller.uniqueid

    def _leave(self, queue: ModelQueue, caller: ModelCaller) -> None:
        queue.callers.remove(caller)
        count = {"Count": len(queue.callers)}
        self.raise_event("QueueCallerLeave", queue.name, _caller(caller, "<unknown>") | count)

    def abandon(self, name: str, index: int) -> None:
        queue = self.queues[name]
        caller = queue.callers[index]
        queue.abandoned += 1
        self.raise_event("QueueCallerAbandon", name, _caller(caller, "<unknown>"))
        self._leave(queue, caller)

    def connect(self, name: str, index: int, interface: str) -> None:
        """Answered: the hold time, the leave, the event, and only then the member is in a call."""
        queue, member = self.queues[name], self.queues[name].members[interface]
        caller = queue.callers[index]
        held = self.second - caller.start
        first = queue.completed + queue.abandoned == 0
        queue.holdtime = held if first else (3 * queue.holdtime + held) >> 2
        self._leave(queue, caller)
        headers = _caller(caller, "<unknown>") | {"Interface": interface, "HoldTime": held}
        self.raise_event("AgentConnect", name, headers)
        started = self.second

        def answered() -> None:
            member.answered_at = started

        self.steps.append((self.now + STEP_S, answered))

    def complete(self, name: str, interface: str) -> None:
        """Hung up: the event, and only then it is counted."""
        member = self.queues[name].members[interface]
        started = member.answered_at
        self.raise_event("AgentComplete", name, {"Interface": interface, "TalkTime": 7})
        self.steps.append((self.now + STEP_S, lambda: self._count(name, member, started)))

    def _count(self, name: str, member: ModelMember, started: int) -> None:
        queue = self.queues[name]
        if not started or member.answered_at != started:
            return
        member.answered_at = 0
        concerned = self.queues.values() if self.shared_lastcall else (queue,)
        for other in concerned:
            if member.interface in other.members:
                other.members[member.interface].calls += 1
                other.members[member.interface].last_call = self.second
        talked = self.second - started
        queue.completed += 1
        first = queue.completed == 1
        queue.talktime = talked if first else (3 * queue.talktime + talked) >> 2

    def device(self, interface: str, status: int) -> None:
        """A device changes: its members in all queues; free again, the call is counted first."""
        for name, queue in self.queues.items():
            member = queue.members.get(interface)
            if member is not None and member.status != status:
                if status == 1:
                    self._count(name, member, member.answered_at)
                member.status = status
                self._tell("QueueMemberStatus", name, member)

    def add(self, name: str, interface: str) -> None:
        if interface not in self.queues[name].members:
            member = ModelMember(interface)
            self.queues[name].members[interface] = member
            self._tell("QueueMemberAdded", name, member)

    def remove(self, name: str, interface: str) -> None:
        member = self.queues[name].members.pop(interface, None)
        if member is not None:
            self._tell("QueueMemberRemoved", name, member)

    def pause(self, name: str, interface: str, paused: int) -> None:
        member = self.queues[name].members[interface]
        member.paused = paused
        self._tell("QueueMemberPause", name, member)

    def connected_line(self, name: str, index: int, number: str) -> None:
        caller = self.queues[name].callers[index]
        caller.connected = number
        texts = {key: str(value) for key, value in _caller(caller, "<unknown>").items()}
        self.waiting.append(message("NewConnectedLine", **texts))

    def _tell(self, event: str, name: str, member: ModelMember) -> None:
        self.raise_event(event, name, member.headers(in_list=False))

    # -- lists

    def listed(self, name: str = "", member: str = "") -> list[Message]:
        """The items of a list of this moment."""
        items: list[Message] = []
        for queue in self.queues.values():
            if name in ("", queue.name):
                items += _listed(queue, member, self.second)
        return items


def _listed(queue: ModelQueue, member: str, second: int) -> list[Message]:
    rows: list[tuple[str, Headers]] = [
        (
            "QueueParams",
            {
                "Calls": len(queue.callers),
                "Holdtime": queue.holdtime,
                "TalkTime": queue.talktime,
                "Completed": queue.completed,
                "Abandoned": queue.abandoned,
            },
        )
    ]
    rows += [
        ("QueueMember", each.headers(in_list=True))
        for each in queue.members.values()
        if member in ("", each.interface)
    ]
    rows += [
        ("QueueEntry", _caller(caller, "unknown") | {"Wait": second - caller.start})
        for caller in queue.callers
    ]
    return [
        message(event, Queue=queue.name, **{key: str(value) for key, value in headers.items()})
        for event, headers in rows
    ]


def _caller(caller: ModelCaller, unknown: str) -> Headers:
    return {
        "Channel": f"SIP/{caller.uniqueid}",
        "Uniqueid": caller.uniqueid,
        "CallerIDNum": caller.uniqueid[2:],
        "CallerIDName": unknown,
        "ConnectedLineNum": caller.connected or unknown,
        "ConnectedLineName": unknown,
    }
