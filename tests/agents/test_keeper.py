"""When Asterisk is made to agree with the directory, and when it is left alone."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from pbxapi.agents import keeper, pauses
from pbxapi.agents.desk import AgentDesk
from pbxapi.agents.keeper import AgentKeeper
from pbxapi.agents.membership import Place, places
from pbxapi.agents.pauses import PauseFollower
from pbxapi.ami.message import Message
from pbxapi.directory.agent import Agent
from tests.agents.asterisk import Asterisk, Directory, Listener, agent, line, login, serves
from tests.services.waiting import eventually

ALL = serves(it=1, sales=2, vip=0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "RETRY_S", 0.05)
    monkeypatch.setattr(pauses, "RETRY_S", 0.05)
    monkeypatch.setattr(pauses, "SETTLE_S", 0.05)


class World:
    """A keeper that runs, and what it works on."""

    def __init__(self, *agents: Agent) -> None:
        self.asterisk = Asterisk("it", "sales", "vip")
        self.directory = Directory(*agents)
        self.desk = AgentDesk(self.directory, self.asterisk, self.asterisk, Listener())
        self.listed_anew = asyncio.Event()
        self.keeper = AgentKeeper(self.directory, self.asterisk, self.desk, self.listed_anew)
        self.pauses = PauseFollower()

    def wanted(self) -> Iterator[Place]:
        for each in self.directory.agents.values():
            yield from places(each)

    def agrees(self) -> bool:
        return sorted(map(repr, self.asterisk.members())) == sorted(map(repr, self.wanted()))

    async def come_to_agree(self) -> None:
        await eventually(self.agrees, within_s=3, what="Asterisk agrees with the directory")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self.keeper.run()),
            asyncio.create_task(self.pauses.run(self.desk)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def paused(name: str) -> Message:
    return Message(f"Event: QueueMemberPause\r\nQueue: it\r\nMemberName: {name}".encode())


async def test_members_that_asterisk_has_lost_come_back_with_their_pause() -> None:
    world = World(
        agent(1, ALL, login(100)), agent(2, serves(it=4), login(101, paused=True)), agent(3, ALL)
    )
    async with world.running():
        world.listed_anew.set()
        await world.come_to_agree()

    assert len(world.asterisk.sent) == 4


async def test_yesterdays_members_go_and_those_of_others_stay() -> None:
    world = World(agent(1, ALL, login(100)), agent(2, ALL))
    world.asterisk.put(*places(agent(2, ALL, login(105))))
    others = [
        Place("it", "Supervisor", "Local/300@extensions-dialplanid-1", "SIP/x", 0, False),
        Place("it", "Agent_2", "SIP/x", "SIP/x", 0, False),
        replace(next(places(agent(2, ALL, login(106)))), membership="static"),
    ]
    world.asterisk.put(*others)
    async with world.running():
        world.listed_anew.set()
        await eventually(lambda: len(world.asterisk.sent) == 6, within_s=3, what="three and three")

    assert {row[1:3] for row in world.asterisk.rows()} == {
        ("Agent_1", "Local/100@extensions-dialplanid-1"),
        *((each.name, each.interface) for each in others),
    }


async def test_two_who_have_each_others_place_are_told_apart() -> None:
    world = World(agent(1, ALL, login(100)), agent(2, ALL, login(101)))
    world.asterisk.put(*places(agent(1, ALL, login(101))), *places(agent(2, ALL, login(100))))
    async with world.running():
        world.listed_anew.set()
        await world.come_to_agree()


async def test_what_happens_while_all_is_up_is_left_alone() -> None:
    world = World(agent(1, ALL, login(100)))
    async with world.running():
        world.listed_anew.set()
        await world.come_to_agree()
        world.asterisk.by_key.clear()  # a supervisor at the command line
        await asyncio.sleep(0.2)  # nothing is due: there is nothing to wait for

    assert world.asterisk.rows() == set()


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("lost_at", range(8))
async def test_asterisk_lost_at_any_request_and_back_again(lost_at: int, carried_out: bool) -> None:
    world = World(agent(1, ALL, login(100)), agent(2, ALL, login(101, paused=True)), agent(3, ALL))
    world.asterisk.put(*places(agent(3, serves(it=0, vip=0), login(102))))
    world.asterisk.put(*places(agent(2, serves(it=9), login(101))))
    world.asterisk.lost_at, world.asterisk.carried_out = lost_at, carried_out
    async with world.running():
        world.listed_anew.set()
        await eventually(lambda: world.asterisk.down, within_s=3, what="the session is lost")
        world.asterisk.lost_at, world.asterisk.down = None, False
        world.listed_anew.set()
        await world.come_to_agree()


async def test_without_a_picture_the_directory_is_not_asked_again_and_again() -> None:
    world = World(agent(1, ALL, login(100)))
    world.asterisk.unknown = True
    async with world.running():
        world.listed_anew.set()
        await asyncio.sleep(0.2)
        assert world.directory.asked == 0
        world.asterisk.unknown = False
        await world.come_to_agree()


async def test_a_database_that_is_down_is_asked_again_and_said_to_be_so_once() -> None:
    world = World(agent(1, ALL, login(100)))
    world.directory.down = True
    with capture_logs() as logs:
        async with world.running():
            world.listed_anew.set()
            await eventually(lambda: world.directory.asked > 2, within_s=3, what="asked again")
            world.directory.down = False
            await world.come_to_agree()

    said = [entry["log_level"] for entry in logs if entry["event"] == "agents.not_settled"]
    assert said[0] == "warning"
    assert set(said[1:]) == {"debug"}


async def test_a_queue_that_asterisk_does_not_know_is_told_once_a_session() -> None:
    world = World(agent(1, ALL, login(100)))
    del world.asterisk.queues["vip"]
    with capture_logs() as logs:

        def times(event: str) -> int:
            return [entry["event"] for entry in logs].count(event)

        async with world.running():
            for session in (1, 2):
                world.listed_anew.set()
                while times("agents.agree") < session:
                    await asyncio.sleep(0.01)

    assert len(world.asterisk.rows()) == 2
    told = [each for each in logs if each["event"] == "agents.member_refused"]
    assert [each["error"] for each in told] == [
        "Unable to add interface to queue: No such queue"
    ] * 2


async def test_one_who_logs_out_meanwhile_is_not_brought_back() -> None:
    world = World(*(agent(n, ALL, login(100 + n)) for n in range(1, 30)))
    async with world.running():
        world.listed_anew.set()
        await asyncio.gather(
            *(world.desk.log_out(n) for n in range(1, 30, 2)),
            *(world.desk.log_in(n, line(200 + n)) for n in range(2, 30, 2)),
        )
        await world.come_to_agree()
        assert {each.interface[:8] for each in world.asterisk.members()} == {
            "Local/20",
            "Local/21",
            "Local/22",
        }


async def test_a_pause_by_the_telephone_is_kept() -> None:
    world = World(agent(1, serves(it=1), login(100)))
    world.asterisk.put(replace(next(world.wanted()), paused=True))
    async with world.running():
        world.pauses.event(paused("Agent_1"))
        await world.come_to_agree()

    assert world.directory.agents[1].login == login(100, paused=True)


async def test_a_pause_is_kept_once_the_database_is_back() -> None:
    world = World(agent(1, serves(it=1), login(100)))
    world.asterisk.put(replace(next(world.wanted()), paused=True))
    world.directory.down = True
    async with world.running():
        world.pauses.event(paused("Agent_1"))
        await eventually(lambda: world.directory.asked, within_s=3, what="the first attempt")
        world.directory.down = False
        await world.come_to_agree()


async def test_a_pause_of_a_lost_session_is_not_followed() -> None:
    world = World(agent(1, serves(it=1), login(100)))
    async with world.running():
        world.pauses.event(paused("Agent_1"))
        world.pauses.session_lost(0)
        world.pauses.session_opened()
        await asyncio.sleep(0.2)

    assert world.directory.asked == 0


async def test_too_many_doubts_are_one_comparison_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "MAX_DOUBTS", 10)
    world = World(agent(1, ALL, login(100)))
    for number in range(100):
        world.keeper.doubtful((number,), ())
    async with world.running():
        await world.come_to_agree()


async def test_a_doubt_that_cannot_be_settled_is_settled_later() -> None:
    world = World(agent(1, ALL, login(100)))
    world.directory.down = True
    async with world.running():
        world.keeper.doubtful((1,), ())
        await eventually(lambda: world.directory.asked > 1, within_s=3, what="tried again")
        world.directory.down = False
        await world.come_to_agree()
