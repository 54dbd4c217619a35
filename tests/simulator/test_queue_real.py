"""The simulator's queues against real Asterisk 16 and 22: the same calls, the same counters."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from pbxapi.simulator import Behaviour, Simulator, SimulatorOptions
from pbxapi.simulator.options import Version
from pbxapi.simulator.queue_config import QueueConfig
from pbxapi.simulator.queue_state import Member, Queue
from tests.services.asterisk import Asterisk
from tests.services.phones import Phones
from tests.simulator.ami_client import AmiClient, Message, value
from tests.simulator.conftest import DEVICES, USERS
from tests.simulator.queues import lab_queues
from tests.simulator.test_queues import story

QUEUE = "FrontaObchod"
SERVICE_LEVEL_S = 30
#: Enough for averages that are not nought.
RING_MS = 1500
COUNTERS = (
    "Calls", "Holdtime", "TalkTime", "Completed", "Abandoned", "ServicelevelPerf",
    "ServicelevelPerf2",
)  # fmt: skip


@dataclass
class Pbx:
    """Either of the two, as this test uses it."""

    ami: AmiClient
    serve: Callable[[bool], Awaitable[None]]
    abandon: Callable[[], Awaitable[None]]
    asked: int = 0

    async def status(self) -> dict[str, str]:
        """The counters of the queue."""
        self.asked += 1
        ident = f"status-{self.asked}"
        await self.ami.ask(f"Action: QueueStatus\nQueue: {QUEUE}", ident)
        params = await self.ami.until(Event="QueueParams", ActionID=ident)
        return {name: value(params, name) for name in COUNTERS}

    async def reset(self) -> None:
        self.asked += 1
        await self.ami.ask(f"Action: QueueReset\nQueue: {QUEUE}", f"reset-{self.asked}")

    async def count(self, event: str, number: int) -> None:
        """Until so many of an event have come."""
        while len(self.ami.events(event)) < number:
            await self.ami.receive(10)


@pytest.fixture
async def real(asterisk: Asterisk, phones: Phones) -> AsyncIterator[Pbx]:
    async with await AmiClient.connect(asterisk.ami_port) as ami:
        await ami.login(asterisk.oracle_username, asterisk.oracle_secret)
        await phones.up("Linka_1002", ring_ms=RING_MS)

        async def serve(agent_ends: bool) -> None:
            served = len(ami.events("AgentConnect"))
            call = await phones.call("Linka_1005", "501")
            await pbx.count("AgentConnect", served + 1)
            await asyncio.sleep(1.2)  # they talk
            if agent_ends:
                phones.press("Linka_1002")
                await call.wait()
            else:
                await call.hangup()
            await pbx.count("AgentComplete", served + 1)

        async def abandon() -> None:
            gone = len(ami.events("QueueCallerLeave"))
            await phones.up("Linka_1002", mode="ring")
            call = await phones.call("Linka_1005", "501")
            await asyncio.sleep(1.2)  # the caller waits
            await call.hangup()
            await pbx.count("QueueCallerLeave", gone + 1)
            await phones.up("Linka_1002", ring_ms=RING_MS)

        pbx = Pbx(ami, serve, abandon)
        await pbx.reset()
        yield pbx


@pytest.fixture
async def simulated(asterisk: Asterisk) -> AsyncIterator[Pbx]:
    version: Version = 16 if asterisk.version == "16" else 22
    options = SimulatorOptions(
        version=version, users=USERS, devices=DEVICES, queues=lab_queues(asterisk.technology)
    )
    async with Simulator(options) as simulator, await AmiClient.connect(simulator.port) as ami:
        await ami.login()

        async def serve(agent_ends: bool) -> None:
            served = len(ami.events("AgentConnect"))
            caller = simulator.place_call("Linka_1005", "501")
            await pbx.count("AgentConnect", served + 1)
            agent = next(c["Channel"] for c in simulator.channels if "1002" in c["Channel"])
            simulator.hangup(agent if agent_ends else caller)
            await pbx.count("AgentComplete", served + 1)

        async def abandon() -> None:
            gone = len(ami.events("QueueCallerLeave"))
            simulator.configure("Linka_1002", behaviour=Behaviour.RINGS)
            caller = simulator.place_call("Linka_1005", "501")
            await ami.until(Event="AgentCalled")
            simulator.hangup(caller)
            await pbx.count("QueueCallerLeave", gone + 1)
            simulator.configure("Linka_1002", behaviour=Behaviour.ANSWERS)

        pbx = Pbx(ami, serve, abandon)
        yield pbx


def replayed(events: list[Message]) -> dict[str, str]:
    """What the simulator's arithmetic makes of the seconds that events tell."""
    queue = Queue(QueueConfig(name=QUEUE, servicelevel_s=SERVICE_LEVEL_S))
    member, in_sl = Member("", "", ""), False
    for event in events:
        match value(event, "Event"):
            case "AgentConnect":
                in_sl = queue.answered(int(value(event, "HoldTime")))
            case "AgentComplete":
                member.started_at = 1
                queue.complete(member, 1 + int(value(event, "TalkTime")), in_sl=in_sl)
            case "QueueCallerAbandon":
                queue.abandon(int(value(event, "HoldTime")))
            case _:
                pass
    figures = (
        "0", queue.hold_time, queue.talk_time, queue.completed, queue.abandoned,
        queue.service_perf, queue.service_perf2,
    )  # fmt: skip
    return dict(zip(COUNTERS, map(str, figures), strict=True))


@pytest.mark.timeout(120)
async def test_the_same_calls_have_the_same_story_and_counters(real: Pbx, simulated: Pbx) -> None:
    """Served until the caller ends it, given up, served until the agent ends it, after a reset."""
    statuses = []
    for pbx in (real, simulated):
        await pbx.abandon()
        await pbx.serve(False)
        await pbx.serve(True)
        before = await pbx.status()
        assert before == replayed(pbx.ami.messages)
        begin = len(pbx.ami.messages)
        await pbx.reset()
        await pbx.serve(False)
        after = await pbx.status()
        assert after == replayed(pbx.ami.messages[begin:])
        statuses.append((before, after))
    times = {"Holdtime": "", "TalkTime": ""}
    assert [s | times for s in statuses[0]] == [s | times for s in statuses[1]]
    assert story(real.ami.messages) == story(simulated.ami.messages)
