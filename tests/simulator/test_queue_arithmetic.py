"""Counters of a queue, against a table of what app_queue's formulas give."""

import dataclasses

import pytest
from hypothesis import given, strategies as st

from pbxapi.simulator import Simulator, SimulatorOptions, VirtualClock, call_centre
from pbxapi.simulator.channels import Channel
from pbxapi.simulator.options import Version, default_devices
from pbxapi.simulator.queue_config import QueueConfig
from pbxapi.simulator.queue_state import Member, Queue, Waiter, percent
from tests.simulator.ami_client import messages, value
from tests.simulator.test_load import Recorder


def queue(servicelevel_s: int = 10) -> Queue:
    return Queue(QueueConfig(name="q", servicelevel_s=servicelevel_s))


def member() -> Member:
    return Member("SIP/a", "a", "SIP/a")


@pytest.mark.parametrize(
    ("held", "averages"),
    [
        ([10, 13], [10, 10]),  # (3 * 10 + 13) >> 2
        ([10, 14], [10, 11]),
        ([0, 3, 4], [0, 0, 1]),
        ([5, 0, 0, 0, 0], [5, 3, 2, 1, 0]),
    ],
)
def test_hold_time_is_a_rounded_average(held: list[int], averages: list[int]) -> None:
    q, m, seen = queue(), member(), []
    for seconds in held:
        q.answered(seconds)
        seen.append(q.hold_time)
        m.started_at = 100
        q.complete(m, 100, in_sl=True)
    assert seen == averages


def test_talk_time_begins_with_the_first_completed_call() -> None:
    q, m = queue(), member()
    q.abandon(3)
    for begin, end in ((100, 120), (200, 207)):
        m.started_at = begin
        q.complete(m, end, in_sl=False)
    assert (q.completed, q.talk_time, m.calls, m.last_call, m.in_call) == (2, 16, 2, 207, False)


def test_hold_time_averages_over_nought_when_the_first_caller_gave_up() -> None:
    """recalc_holdtime() takes the first answer whole only before any call ended."""
    q = queue()
    q.abandon(30)
    q.answered(8)
    assert q.hold_time == 2


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "0.0"),
        (1, 3, "33.3"),
        (2, 3, "66.7"),
        (23, 80, "28.8"),  # with doubles it would be 28.7
        (80, 80, "100.0"),
    ],
)
def test_percentages_are_of_c_floats(part: int, whole: int, text: str) -> None:
    assert percent(part, whole) == text


def test_service_levels() -> None:
    q, m = queue(10), member()
    for held in (3, 10, 11):
        in_sl = q.answered(held)
        m.started_at = 1
        q.complete(m, 2, in_sl=in_sl)
    q.abandon(4)
    q.abandon(40)
    assert (q.service_perf, q.service_perf2) == ("66.7", "60.0")


@given(st.lists(st.integers(0, 4), max_size=40))
def test_waiters_stand_by_priority_and_then_by_arrival(priorities: list[int]) -> None:
    q = queue()
    for number, priority in enumerate(priorities):
        channel = Channel(f"c{number}", "SIP", f"{number}", f"{number}", 0.0)
        waiter = Waiter(channel, number, priority)
        assert q.join(waiter) == q.position(waiter)
    stands = [(-waiter.priority, waiter.joined_at) for waiter in q.waiters]
    assert stands == sorted(stands)


@dataclasses.dataclass
class Followed:
    """What one who hears only events makes of a queue."""

    joined: int = 0
    left: int = 0
    abandoned: int = 0
    connected: int = 0
    completed: int = 0


async def test_events_account_for_every_caller_and_every_count(version: Version) -> None:
    """With agents who answer, ignore, refuse and hang up, callers who give up and are handed on."""
    phones = tuple(f"Linka_{number}" for number in range(1000, 1060))
    options = SimulatorOptions(
        version=version,
        devices=default_devices(60),
        queues=call_centre(8, 60, {16: "SIP", 22: "PJSIP"}[version], phones),
        calls=80,
        cps=2,
        agent_life=0.5,
        peer_life=0.5,
        seed=11,
    )
    clock, recorder = VirtualClock(), Recorder()
    async with Simulator(options, clock) as simulator:
        simulator.pbx.announcer.listen(recorder)
        clock.advance(240)
        queues = {q.name: q for q in simulator.queues.values()}
        seen = {name: Followed() for name in queues}
        kinds = {
            "QueueCallerJoin": "joined",
            "QueueCallerLeave": "left",
            "QueueCallerAbandon": "abandoned",
            "AgentConnect": "connected",
            "AgentComplete": "completed",
        }
        for message in messages(b"\r\n" + bytes(recorder.stream)):
            if (kind := kinds.get(value(message, "Event"))) is not None:
                followed = seen[value(message, "Queue")]
                setattr(followed, kind, getattr(followed, kind) + 1)
        for name, q in queues.items():
            in_call = sum(m.in_call for m in q.members.values())
            followed = seen[name]
            assert followed.joined - followed.left == len(q.waiters)
            assert followed.abandoned == q.abandoned > 0
            assert followed.completed == q.completed > 0
            assert followed.connected == q.completed + in_call
            assert followed.left == followed.connected + followed.abandoned
        simulator._traffic.stop()
        clock.advance(3000)
        assert simulator.channels == []
        assert simulator.queues.pending == set()
        assert all(not q.waiters for q in queues.values())
        assert not any(m.in_call for q in queues.values() for m in q.members.values())


async def test_the_same_seed_gives_the_same_call_centre(technology: str, version: Version) -> None:
    async def record() -> bytes:
        clock, recorder = VirtualClock(), Recorder()
        phones = tuple(f"Linka_{number}" for number in range(1000, 1020))
        options = SimulatorOptions(
            version=version,
            queues=call_centre(3, 20, technology, phones),
            calls=20,
            cps=1,
            agent_life=0.5,
        )
        async with Simulator(options, clock) as simulator:
            simulator.pbx.announcer.listen(recorder)
            clock.advance(120)
        return bytes(recorder.stream)

    assert await record() == await record() != b""
