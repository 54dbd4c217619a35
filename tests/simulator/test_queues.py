"""Calls in queues go as recorded: which events, in which order, with which headers."""

import dataclasses
from collections.abc import AsyncIterator, Iterable

import pytest

from pbxapi.simulator import Behaviour, Simulator, SimulatorOptions, VirtualClock
from pbxapi.simulator.options import Version, default_devices
from pbxapi.simulator.scheduler import AsyncGoto
from tests.services import captures
from tests.simulator.ami_client import Message, messages, value
from tests.simulator.queues import lab_queues
from tests.simulator.test_load import Recorder
from tests.simulator.test_structure import recorded_shapes, shapes

#: What happens to a caller; a member's state is told from another thread.
STORY = frozenset(
    {
        "QueueCallerJoin",
        "QueueCallerLeave",
        "QueueCallerAbandon",
        "AgentCalled",
        "AgentConnect",
        "AgentComplete",
        "AgentRingNoAnswer",
        "MusicOnHoldStart",
    }
)


class Pbx:
    """A simulator on a clock that only the test advances, and all that it said."""

    def __init__(self, simulator: Simulator, clock: VirtualClock, recorder: Recorder) -> None:
        self.simulator = simulator
        self.clock = clock
        self._recorder = recorder

    @property
    def told(self) -> list[Message]:
        return messages(b"\r\n" + bytes(self._recorder.stream))

    def events(self, *names: str) -> list[Message]:
        return [message for message in self.told if value(message, "Event") in names]

    def forget(self) -> None:
        self._recorder.stream.clear()

    def call(self, exten: str, *, wait_s: float, number: str = "1005") -> str:
        channel = self.simulator.place_call(f"Linka_{number}", exten)
        self.clock.advance(wait_s)
        return channel

    def hang_up(self, channel: str, *, wait_s: float = 1.0) -> None:
        self.simulator.hangup(channel)
        self.clock.advance(wait_s)

    def of_agent(self, name: str) -> str:
        """The channel of an agent's phone."""
        return next(c["Channel"] for c in self.simulator.channels if f"/{name}-" in c["Channel"])


@pytest.fixture
def options(version: Version, technology: str) -> SimulatorOptions:
    devices = tuple(
        dataclasses.replace(device, ring_after_s=0.05, answer_after_s=0.5)
        for device in default_devices()
    )
    return SimulatorOptions(version=version, devices=devices, queues=lab_queues(technology))


@pytest.fixture
async def pbx(options: SimulatorOptions) -> AsyncIterator[Pbx]:
    clock, recorder = VirtualClock(), Recorder()
    async with Simulator(options, clock) as simulator:
        simulator.pbx.announcer.listen(recorder)
        yield Pbx(simulator, clock, recorder)


def story(session: Iterable[Message]) -> list[tuple[str, ...]]:
    """What happened to the callers, in order.

    Without the agent's channel at the end: 16 shows it where it is there yet, by chance.
    """
    return [
        (
            value(message, "Event"),
            value(message, "Queue"),
            value(message, "Position"),
            value(message, "Count"),
            value(message, "DestChannel").rsplit("-", 1)[0]
            if value(message, "Event") != "AgentComplete"
            else "",
            value(message, "Reason"),
        )
        for message in session
        if value(message, "Event") in STORY
    ]


def statuses(session: Iterable[Message]) -> list[tuple[str, str]]:
    """What was told of the members, in order."""
    return [
        (value(message, "MemberName"), value(message, "Status"))
        for message in session
        if value(message, "Event") == "QueueMemberStatus"
    ]


def recorded(version: Version, name: str) -> list[Message]:
    return messages(captures.read(str(version), name))


def assert_recorded_shapes(found: list[Message], version: Version) -> None:
    known = recorded_shapes(version)
    strange = {
        kind: sorted(names - known.get(kind, set()))
        for kind, names in shapes(found).items()
        if names - known.get(kind, set())
    }
    assert strange == {}


async def test_a_served_call_goes_as_recorded(pbx: Pbx, version: Version) -> None:
    pbx.hang_up(pbx.call("500", wait_s=8))
    wanted = recorded(version, "queue-call")
    assert story(pbx.told) == story(wanted)
    agent = value(pbx.events("AgentComplete")[0], "DestChannel").rsplit("-", 1)[0]
    assert agent == {16: "", 22: "PJSIP/Linka_1000"}[version]
    member = ("Jan Novák", "6"), ("Jan Novák", "2"), ("Jan Novák", "1")
    assert statuses(pbx.told) == list(member)
    assert {m for m in statuses(wanted) if m[0] == "Jan Novák"} == set(member)
    assert_recorded_shapes(pbx.told, version)


async def test_a_call_that_the_agent_ends_goes_as_recorded(pbx: Pbx, version: Version) -> None:
    pbx.call("501", wait_s=4)
    pbx.hang_up(pbx.of_agent("Linka_1002"))
    wanted = recorded(version, "queue-call-agent-hangup")
    assert story(pbx.told) == story(wanted)
    assert [value(m, "State") for m in pbx.told if "_avail" in value(m, "Device")] == [
        value(m, "State") for m in wanted if "_avail" in value(m, "Device")
    ]
    complete = pbx.events("AgentComplete")[0]
    assert value(complete, "Reason") == "agent"
    assert value(pbx.events("QueueMemberStatus")[-1], "CallsTaken") == "1"
    assert_recorded_shapes(pbx.told, version)


async def test_nobody_answers_and_the_caller_gives_up(pbx: Pbx, version: Version) -> None:
    pbx.simulator.configure("Linka_1002", behaviour=Behaviour.RINGS)
    channel = pbx.call("501", wait_s=11)
    pbx.hang_up(channel)
    wanted = recorded(version, "queue-ring-noanswer-abandon")
    assert story(pbx.told) == story(wanted)
    for name in ("AgentRingNoAnswer", "QueueCallerAbandon"):
        ours, theirs = (
            next(m for m in found if value(m, "Event") == name) for found in (pbx.told, wanted)
        )
        for header in ("RingTime", "HoldTime", "OriginalPosition", "Position"):
            assert value(ours, header) == value(theirs, header)
    ends = [value(m, "DialStatus") for m in pbx.told if value(m, "Event") == "DialEnd"]
    assert ends == [value(m, "DialStatus") for m in wanted if value(m, "Event") == "DialEnd"]
    assert_recorded_shapes(pbx.told, version)


async def test_a_caller_waits_for_long_enough(pbx: Pbx, version: Version) -> None:
    pbx.call("502", wait_s=11)
    wanted = recorded(version, "queue-timeout-empty")
    assert story(pbx.told) == story(wanted)
    assert value(pbx.events("QueueCallerAbandon")[0], "HoldTime") == "10"
    assert pbx.simulator.channels == []
    assert_recorded_shapes(pbx.told, version)


async def test_a_call_from_the_trunk_goes_as_recorded(pbx: Pbx, version: Version) -> None:
    channel = pbx.simulator.incoming("upc", "222333444", "420602123456")
    pbx.clock.advance(6)
    pbx.hang_up(channel)
    assert story(pbx.told) == story(recorded(version, "trunk-in-queue"))
    assert_recorded_shapes(pbx.told, version)


async def test_several_callers_wait_in_order(pbx: Pbx) -> None:
    """The busy agent is not called again, and wrap-up time passes before the next."""
    pbx.simulator.peers.unregister("Linka_1001")
    first = pbx.call("500", wait_s=3, number="1005")
    second = pbx.call("500", wait_s=3, number="1006")
    third = pbx.call("500", wait_s=1, number="1007")
    queue = pbx.simulator.queues["FrontaIT"]
    assert [waiter.channel.name for waiter in queue.waiters] == [second, third]
    joins = [(value(m, "Position"), value(m, "Count")) for m in pbx.events("QueueCallerJoin")]
    assert joins == [("1", "1"), ("1", "1"), ("2", "2")]
    pbx.forget()
    pbx.hang_up(first, wait_s=2)
    assert pbx.events("AgentCalled") == []
    pbx.clock.advance(4)
    assert [value(m, "Channel") for m in pbx.events("AgentConnect")] == [second]
    assert queue.position(queue.waiters[0]) == 1
    pbx.hang_up(third)
    leaves = [(value(m, "Position"), value(m, "Count")) for m in pbx.events("QueueCallerLeave")]
    assert leaves == [("1", "1"), ("1", "0")]


async def test_an_announcement_makes_the_told_hold_time_longer_than_the_averaged(
    pbx: Pbx, technology: str
) -> None:
    queues = [dataclasses.replace(q, announce_s=3.0) for q in lab_queues(technology)]
    pbx.simulator.queues.config = tuple(queues)
    pbx.simulator.reload("app_queue")
    pbx.call("501", wait_s=5)
    assert value(pbx.events("AgentConnect")[0], "HoldTime") == "3"
    assert pbx.simulator.queues["FrontaObchod"].hold_time == 0
    gives_up = pbx.call("500", wait_s=2, number="1006")
    pbx.forget()
    pbx.hang_up(gives_up)
    assert [s[0] for s in story(pbx.told)] == ["QueueCallerAbandon", "QueueCallerLeave"]
    assert pbx.events("AgentConnect", "AgentComplete") == []


async def test_an_agent_hands_a_caller_on_and_back(pbx: Pbx) -> None:
    caller = pbx.call("501", wait_s=3)
    agent = pbx.of_agent("Linka_1002")
    pbx.simulator.blind_transfer(agent, "extensions-dialplanid-1", "500")
    pbx.clock.advance(4)
    assert value(pbx.events("AgentComplete")[0], "Reason") == "transfer"
    assert [value(m, "Queue") for m in pbx.events("QueueCallerJoin")] == [
        "FrontaObchod", "FrontaIT",
    ]  # fmt: skip
    queues = pbx.simulator.queues
    assert queues["FrontaObchod"].completed == 1
    assert queues["FrontaIT"].members["Local/1000@extensions-dialplanid-1"].in_call
    pbx.hang_up(caller)
    assert queues["FrontaIT"].completed == 1


async def test_an_agent_who_ignores_a_call_can_be_paused_by_it(pbx: Pbx, technology: str) -> None:
    queues = [dataclasses.replace(q, autopause=True) for q in lab_queues(technology)]
    pbx.simulator.queues.config = tuple(queues)
    pbx.simulator.reload()
    pbx.simulator.configure("Linka_1002", behaviour=Behaviour.RINGS)
    pbx.call("501", wait_s=20)
    [member] = pbx.simulator.queues["FrontaObchod"].members.values()
    assert (member.paused, member.paused_reason) == (True, "Auto-Pause")
    assert len(pbx.events("AgentCalled")) == len(pbx.events("QueueMemberPause")) == 1


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"join_empty": False}, "JOINEMPTY"), ({"maxlen": 1}, "FULL")],
)
async def test_a_queue_takes_nobody_more(
    pbx: Pbx, technology: str, changes: dict[str, object], status: str
) -> None:
    queues = [
        dataclasses.replace(q, **changes) if q.name == "FrontaPrazdna" else q  # type: ignore[arg-type]  # fields by name
        for q in lab_queues(technology)
    ]
    pbx.simulator.queues.config = tuple(queues)
    pbx.simulator.reload()
    if status == "FULL":
        pbx.call("502", wait_s=1)
    pbx.forget()
    pbx.call("502", wait_s=1, number="1006")
    assert pbx.events("QueueCallerJoin", "QueueCallerAbandon") == []
    values = {value(m, "Variable"): value(m, "Value") for m in pbx.events("VarSet")}
    assert values["QUEUESTATUS"] == status


async def test_a_waiting_caller_leaves_when_nobody_is_there(pbx: Pbx, technology: str) -> None:
    queues = [dataclasses.replace(q, leave_when_empty=True) for q in lab_queues(technology)]
    pbx.simulator.queues.config = tuple(queues)
    pbx.simulator.reload()
    pbx.simulator.configure("Linka_1002", behaviour=Behaviour.RINGS)
    pbx.call("501", wait_s=2)
    pbx.simulator.peers.unregister("Linka_1002")
    pbx.clock.advance(10)
    assert [s[0] for s in story(pbx.told)][-2:] == ["QueueCallerAbandon", "QueueCallerLeave"]


@pytest.mark.parametrize(
    ("strategy", "order"),
    [
        ("rrmemory", ["1010", "1011", "1012", "1010"]),
        ("linear", ["1010", "1010", "1010", "1010"]),
        ("leastrecent", ["1010", "1011", "1012", "1010"]),
        ("fewestcalls", ["1010", "1011", "1012", "1010"]),
    ],
)
async def test_strategies_choose_members(
    pbx: Pbx, technology: str, strategy: str, order: list[str]
) -> None:
    queue = lab_queues(technology)[1]
    members = tuple(
        dataclasses.replace(queue.members[0], interface=f"{technology}/Linka_{n}", name=f"{n}")
        for n in (1010, 1011, 1012)
    )
    pbx.simulator.queues.config = (dataclasses.replace(queue, strategy=strategy, members=members),)
    pbx.simulator.reload()
    for _ in range(4):
        pbx.hang_up(pbx.call("501", wait_s=3))
    assert [value(m, "MemberName") for m in pbx.events("AgentConnect")] == order


async def test_ringall_rings_the_lowest_penalty_and_the_first_wins(
    pbx: Pbx, technology: str
) -> None:
    queue = lab_queues(technology)[1]
    members = tuple(
        dataclasses.replace(
            queue.members[0], interface=f"{technology}/Linka_{n}", name=f"{n}", penalty=n == 1012
        )
        for n in (1010, 1011, 1012)
    )
    pbx.simulator.queues.config = (dataclasses.replace(queue, members=members),)
    pbx.simulator.reload()
    pbx.simulator.configure("Linka_1010", behaviour=Behaviour.RINGS)
    pbx.call("501", wait_s=3)
    assert [value(m, "MemberName") for m in pbx.events("AgentCalled")] == ["1010", "1011"]
    assert value(pbx.events("AgentConnect")[0], "MemberName") == "1011"
    assert pbx.events("AgentRingNoAnswer") == []


async def test_a_queue_of_more_weight_gets_the_member(pbx: Pbx, technology: str) -> None:
    light, heavy, _ = lab_queues(technology)
    member = dataclasses.replace(heavy.members[0], state_interface="")
    pbx.simulator.queues.config = (
        dataclasses.replace(light, members=(member,), wrapuptime_s=0),
        heavy,
    )
    pbx.simulator.reload()
    busy = pbx.call("501", wait_s=3)
    pbx.call("500", wait_s=1, number="1006")
    pbx.call("501", wait_s=1, number="1007")
    pbx.forget()
    pbx.hang_up(busy, wait_s=4)
    assert [value(m, "Queue") for m in pbx.events("AgentConnect")] == ["FrontaObchod"]


async def test_a_restart_forgets_counters_and_a_reload_does_not(pbx: Pbx) -> None:
    pbx.hang_up(pbx.call("501", wait_s=3))
    pbx.simulator.reload("app_queue")
    assert pbx.simulator.queues["FrontaObchod"].completed == 1
    await pbx.simulator.restart(0)
    queue = pbx.simulator.queues["FrontaObchod"]
    [member] = queue.members.values()
    assert (queue.completed, queue.talk_time, member.calls, member.last_call) == (0, 0, 0, 0)


async def test_an_agent_hangs_up_in_the_announcement_and_the_caller_waits_on(
    pbx: Pbx, technology: str
) -> None:
    queues = [dataclasses.replace(q, announce_s=3.0) for q in lab_queues(technology)]
    pbx.simulator.queues.config = tuple(queues)
    pbx.simulator.reload()
    pbx.call("501", wait_s=2)
    pbx.hang_up(pbx.of_agent("Linka_1002"), wait_s=9)
    found = pbx.events("AgentDump", "AgentConnect", "AgentComplete")
    assert [value(m, "Event") for m in found] == ["AgentDump", "AgentConnect"]
    assert len(pbx.events("QueueCallerLeave")) == 1


async def test_a_redirected_waiter_gives_up(pbx: Pbx) -> None:
    """Somebody sends a waiting caller elsewhere: for the queue that is an abandoned call."""
    channel = pbx.call("502", wait_s=2)
    thread = pbx.simulator.pbx.channels[channel].thread
    assert thread is not None
    thread.interrupt(AsyncGoto("extensions-dialplanid-1", "1001"))
    pbx.clock.advance(2)
    assert [s[0] for s in story(pbx.told)][-2:] == ["QueueCallerAbandon", "QueueCallerLeave"]
    assert any("Linka_1001" in c["Channel"] for c in pbx.simulator.channels)
