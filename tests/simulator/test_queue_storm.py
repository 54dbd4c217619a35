"""Many queues, agents and calls: the picture that is kept beside the simulator's own.

`PBXAPI_QUEUE_STORM` is "queues,agents,calls a second,seconds"; a small one where it is not set,
since both ends share a process that may be measured for coverage. By hand: "200,2000,50,60".
"""

import asyncio
import contextlib
import dataclasses
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, NoReturn

import pytest
from structlog.testing import capture_logs

from pbxapi.ami.manager import AmiManager
from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request, queue_status
from pbxapi.ami.session import AmiSession, connect
from pbxapi.cache.followers import Followers
from pbxapi.cache.instant import Instant
from pbxapi.cache.queues.follow import QueueFollower
from pbxapi.cache.queues.queue import Queue, differences
from pbxapi.cache.queues.store import QueueStore
from pbxapi.errors import PbxRefused, PbxUnavailable
from pbxapi.simulator import ManagerUser, Simulator, SimulatorOptions
from pbxapi.simulator.options import default_devices
from pbxapi.simulator.queue_config import call_centre
from tests.services.waiting import eventually

SIZE: Final = os.environ.get("PBXAPI_QUEUE_STORM", "20,100,20,4")
QUEUES, AGENTS, CALLS_PER_S, SECONDS = map(int, SIZE.split(","))
#: After the last event every question has been asked by then.
SETTLED_S: Final = 1.0
TALK_S: Final = 3.0
PATIENCE_S: Final = 10.0
#: Of the calls: callers who do not wait for an agent.
HURRIED: Final = 0.15
#: Of the agents: how many pause or go on in a second.
RESTLESS: Final = 0.01
USERS: Final = (
    ManagerUser(name="pbxapi", secret="pbxapi", read="system,call,agent", write=""),
    ManagerUser(name="oracle", secret="oracle", read="", write="agent"),
)


@asynccontextmanager
async def following(simulator: Simulator) -> AsyncIterator[tuple[QueueStore, QueueFollower]]:
    """The daemon's objects between Asterisk and the picture."""
    store = QueueStore()

    def asterisk_time() -> float:
        return manager.asterisk_time()

    follower = QueueFollower(store, asterisk_time)
    manager = AmiManager(
        host="127.0.0.1",
        port=simulator.port,
        username="pbxapi",
        secret="pbxapi",
        listener=Followers(follower),
    )
    tasks = [asyncio.create_task(manager.run()), asyncio.create_task(follower.run(manager))]
    try:
        await eventually(follower.listed_anew.is_set, within_s=15, what="the first list")
        yield store, follower
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Oracle:
    """A second session: asks for the queues and keeps none, and lets agents pause."""

    def __init__(self, session: AmiSession) -> None:
        self._session = session
        self._chance = random.Random(2)

    async def unrest(self) -> NoReturn:
        """Now an agent pauses in all his queues, now one goes on."""
        while True:
            await asyncio.sleep(1 / (AGENTS * RESTLESS))
            interface = f"Local/{1000 + self._chance.randrange(AGENTS)}@extensions-dialplanid-1"
            paused = self._chance.choice(("true", "false"))
            headers = (("Interface", interface), ("Paused", paused))
            with contextlib.suppress(PbxRefused):  # some agents have another interface
                await self._session.request(Request("QueuePause", headers))

    async def queues(self) -> dict[str, Queue]:
        items: list[Message] = []
        await self._session.request_list(queue_status(), items.append)
        fresh = QueueStore()
        now = Instant(time.monotonic(), time.time())
        collected = fresh.begin_list(now.epoch)
        for item in items:
            fresh.item(collected, item, now)
        fresh.end_list(collected, now)
        return fresh.queues


@asynccontextmanager
async def consulting(simulator: Simulator) -> AsyncIterator[Oracle]:
    session = await connect("127.0.0.1", simulator.port, (), lambda _event: None)
    await session.log_in("oracle", "oracle")
    try:
        yield Oracle(session)
    finally:
        session.close(PbxUnavailable("that is all"))


async def storm(simulator: Simulator) -> int:
    """Begin calls at an even pace, wait until they are over; returns their number."""
    loop = asyncio.get_running_loop()
    chance = random.Random(1)
    extens = [str(70_000 + number) for number in range(QUEUES)]
    began, count = loop.time(), CALLS_PER_S * SECONDS

    def give_up(channel: str) -> None:
        if channel in simulator.pbx.channels:
            simulator.hangup(channel)

    for number in range(count):
        await asyncio.sleep(began + number / CALLS_PER_S - loop.time())
        channel = simulator.incoming("upc", chance.choice(extens), f"420{number:09}")
        hurried = chance.random() < HURRIED
        loop.call_later(chance.uniform(0, 1) if hurried else PATIENCE_S, give_up, channel)
    await eventually(
        lambda: not simulator.pbx.channels, within_s=PATIENCE_S + 20, what="all calls are over"
    )
    return count


@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(90 + 3 * SECONDS)
async def test_no_difference_after_a_storm(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    devices = tuple(
        dataclasses.replace(device, answer_after_s=0.2, talk_s=None if device.trunk else TALK_S)
        for device in default_devices(AGENTS)
    )
    names = tuple(device.name for device in devices if not device.trunk)
    options = SimulatorOptions(
        version=22,
        devices=devices,
        users=USERS,
        queues=call_centre(QUEUES, AGENTS, "PJSIP", names),
    )
    with capture_logs() as logs:
        async with (
            Simulator(options) as simulator,
            following(simulator) as (store, follower),
            consulting(simulator) as oracle,
        ):
            cpu_s, began = time.process_time(), time.monotonic()
            unrest = asyncio.create_task(oracle.unrest())
            calls = await storm(simulator)
            assert unrest.cancel(), "agents paused to the end"
            took_s = time.monotonic() - began
            busy = (time.process_time() - cpu_s) / took_s
            questions = follower.questions
            await asyncio.sleep(SETTLED_S)
            truth = await oracle.queues()
            different = {
                key: (store.queues[key], queue)
                for key, queue in truth.items()
                if differences(store.queues[key], queue)
            }
            completed = sum(int(q.parameters.completed) for q in store.queues.values())
            abandoned = sum(int(q.parameters.abandoned) for q in store.queues.values())
            members = sum(len(queue.members) for queue in store.queues.values())
    figures = {
        "queues": len(store.queues),
        "members": members,
        "calls": calls,
        "completed": completed,
        "abandoned": abandoned,
        "questions_per_s": round(questions / took_s, 1),
        "cpu_of_both": round(busy, 2),
        "repaired": follower.repaired,
    }
    print(figures, [entry for entry in logs if entry["event"] == "queues.repaired"][:5])
    for name, figure in figures.items():
        record_testsuite_property(f"queue_storm_{name}", figure)
    assert truth.keys() == store.queues.keys()
    assert different == {}
    assert completed + abandoned >= calls * 0.9
