"""What agents ask for: wholly or not at all, whatever fails."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from pbxapi.agents import asking
from pbxapi.agents.desk import AgentDesk
from pbxapi.agents.keeper import AgentKeeper
from pbxapi.agents.membership import Place, places
from pbxapi.agents.pins import WrongPin
from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request
from pbxapi.directory.agent import Agent, Login
from pbxapi.errors import DatabaseUnavailable, PbxRefused, PbxUnavailable
from tests.agents.asterisk import QUEUES, Asterisk, Directory, Listener, agent, line, login, serves

ALL = serves(it=1, sales=2, vip=0)
AT_100 = {
    ("it", "Agent_1", "Local/100@extensions-dialplanid-1", 1, False),
    ("sales", "Agent_1", "Local/100@extensions-dialplanid-1", 2, False),
    ("vip", "Agent_1", "Local/100@extensions-dialplanid-1", 0, False),
}


class World:
    """A desk, and what it works on."""

    def __init__(self, *agents: Agent) -> None:
        self.asterisk = Asterisk("it", "sales", "vip")
        self.directory = Directory(*agents)
        self.listener = Listener()
        self.desk = AgentDesk(self.directory, self.asterisk, self.asterisk, self.listener)
        for each in agents:
            self.asterisk.put(*places(each))

    @property
    def actions(self) -> list[str]:
        return [request.action for request in self.asterisk.sent]

    def agrees(self) -> bool:
        """Whether Asterisk has exactly those whom the directory says are logged in."""
        wanted = [place for each in self.directory.agents.values() for place in places(each)]
        return sorted(map(repr, self.asterisk.members())) == sorted(map(repr, wanted))

    async def settle(self) -> None:
        """What the keeper does about doubts once Asterisk and the database are back."""
        self.asterisk.lost_at, self.asterisk.down = None, False
        self.directory.down = self.directory.writes_down = False
        keeper = AgentKeeper(self.directory, self.asterisk, self.desk, asyncio.Event())
        for ids, attempted in self.listener.doubts:
            keeper.doubtful(ids, attempted)
        assert await keeper.settle_what_is_due()


# ---- logging in


async def test_logging_in_makes_him_a_member_of_all_his_queues() -> None:
    world = World(agent(1, ALL))
    await world.desk.log_in(1, line(100))

    assert world.asterisk.rows() == AT_100
    assert world.directory.agents[1].login == login(100)
    assert world.listener.numbers == ["1"]
    assert world.listener.doubts == []


async def test_logging_in_again_at_the_same_line_asks_for_nothing() -> None:
    world = World(agent(1, ALL, login(100, paused=True)))
    before = world.asterisk.rows()
    await world.desk.log_in(1, line(100))

    assert (world.actions, world.asterisk.rows()) == ([], before)
    assert world.directory.agents[1].login == login(100, paused=True)


async def test_logging_in_at_another_line_moves_him_with_his_pause() -> None:
    world = World(agent(1, ALL, login(100, paused=True)))
    await world.desk.log_in(1, line(101))

    assert world.actions == ["QueueRemove"] * 3 + ["QueueAdd"] * 3
    assert {row[2] for row in world.asterisk.rows()} == {"Local/101@extensions-dialplanid-1"}
    assert {row[4] for row in world.asterisk.rows()} == {True}
    assert world.agrees()


async def test_who_logs_in_at_a_line_takes_it_over() -> None:
    world = World(agent(1, ALL, login(100)), agent(2, serves(it=5, vip=1)))
    await world.desk.log_in(2, line(100))

    assert world.directory.agents[1].login is None
    assert world.directory.agents[2].login == login(100)
    assert {row[1] for row in world.asterisk.rows()} == {"Agent_2"}
    assert world.agrees()
    assert sorted(world.listener.numbers) == ["1", "2"]


@pytest.mark.parametrize("elsewhere", [None, login(101)])
async def test_who_is_there_though_he_is_not_logged_in_there_goes(elsewhere: Login | None) -> None:
    world = World(agent(1, ALL), agent(2, serves(it=3), elsewhere))
    ghost = agent(2, serves(it=3, vip=1), login(100))
    world.asterisk.put(*places(ghost))
    await world.desk.log_in(1, line(100))

    assert world.agrees()
    assert world.directory.agents[2].login == elsewhere


async def test_an_agent_without_queues_is_logged_in_all_the_same() -> None:
    world = World(agent(1))
    await world.desk.log_in(1, line(100))

    assert world.directory.agents[1].login == login(100)
    assert world.actions == []


async def test_two_logins_of_one_agent_at_once_come_one_after_the_other() -> None:
    world = World(agent(1, ALL))
    await asyncio.gather(*(world.desk.log_in(1, line(number)) for number in (100, 101, 102)))

    assert world.agrees()
    assert len(world.asterisk.rows()) == 3


async def test_two_agents_at_one_line_at_once_come_one_after_the_other() -> None:
    world = World(agent(1, ALL, login(101)), agent(2, ALL, login(100)), agent(3, ALL))
    await asyncio.gather(
        world.desk.log_in(1, line(100)),
        world.desk.log_in(2, line(101)),
        world.desk.log_in(3, line(100)),
        world.desk.log_out(2),
    )

    assert world.agrees()


STATIC = Place("sales", "Jan", "Local/100@extensions-dialplanid-1", "SIP/Linka_100", 0, False)


@pytest.mark.parametrize(
    ("case", "refusal"),
    [
        ("unknown queue", "Unable to add interface to queue: No such queue"),
        ("static member", "Unable to add interface: Already there"),
    ],
)
async def test_what_asterisk_refuses_leaves_nothing_behind(case: str, refusal: str) -> None:
    world = World(agent(1, ALL))
    if case == "unknown queue":
        del world.asterisk.queues["sales"]
    else:
        world.asterisk.put(replace(STATIC, membership="static"))
    before = world.asterisk.rows()
    with pytest.raises(PbxRefused, match=refusal):
        await world.desk.log_in(1, line(100))

    assert world.actions == ["QueueAdd", "QueueAdd", "QueueRemove"]
    assert world.asterisk.rows() == before
    assert world.directory.agents[1].login is None
    assert world.listener.doubts == []


async def test_who_is_there_already_under_his_name_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(agent(1, ALL))
    world.asterisk.put(*places(agent(1, serves(it=1), login(100))))
    monkeypatch.setattr(world.asterisk, "members", list)  # the picture is late
    await world.desk.log_in(1, line(100))

    assert world.asterisk.rows() == AT_100


async def test_a_stranger_whom_the_picture_shows_late_has_the_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(agent(1, ALL))
    world.asterisk.put(STATIC)
    late = iter([None, None])
    monkeypatch.setattr(world.asterisk, "member", lambda *_place: next(late, STATIC))
    with pytest.raises(PbxRefused, match="Already there"):
        await world.desk.log_in(1, line(100))
    assert world.directory.agents[1].login is None


# ---- logging out, pausing


async def test_logging_out_takes_away_what_a_deleted_line_has_left() -> None:
    world = World(agent(1, ALL, login(100)))
    world.directory.agents[1] = agent(1, ALL)
    await world.desk.log_out(1)
    assert world.asterisk.rows() == set()


async def test_logging_out_leaves_queues_that_he_is_not_assigned_to_any_more() -> None:
    world = World(agent(1, ALL, login(100)))
    world.directory.agents[1] = agent(1, serves(it=1), login(100))
    await world.desk.log_out(1)

    assert world.asterisk.rows() == set()
    assert world.directory.agents[1].login is None


async def test_others_stay_when_one_logs_out() -> None:
    world = World(agent(1, ALL, login(100)), agent(2, ALL, login(101)))
    world.asterisk.put(replace(STATIC, interface="SIP/x", name="Agent_1"))
    await world.desk.log_out(1)

    assert {row[1:3] for row in world.asterisk.rows()} == {
        ("Agent_2", "Local/101@extensions-dialplanid-1"),
        ("Agent_1", "SIP/x"),
    }


async def test_who_is_logged_out_needs_nothing_of_asterisk() -> None:
    world = World(agent(1, ALL))
    world.asterisk.down = world.asterisk.unknown = True
    await world.desk.log_out(1)
    await world.desk.set_paused(1, True)
    await world.desk.assign(1, QUEUES["it"], 7)
    await world.desk.unassign(1, QUEUES["vip"])

    assert world.actions == []
    assert world.directory.agents[1].queues == serves(sales=2, it=7)


async def test_a_pause_is_kept_and_touches_his_own_members_alone() -> None:
    world = World(agent(1, ALL, login(100)), agent(2, ALL, login(101)))
    await world.desk.set_paused(1, True)
    paused = {(row[1], row[4]) for row in world.asterisk.rows()}
    assert paused == {("Agent_1", True), ("Agent_2", False)}
    assert world.directory.agents[1].login == login(100, paused=True)

    await world.desk.set_paused(1, True)
    assert world.actions == ["QueuePause"] * 3
    await world.desk.set_paused(1, False)
    assert world.agrees()


# ---- queues


async def test_a_queue_that_he_has_just_been_taken_out_of_does_not_keep_a_pause_from_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(agent(1, ALL, login(100)))
    shown = list(world.asterisk.members())
    del world.asterisk.by_key[("it", "local/100@extensions-dialplanid-1")]
    monkeypatch.setattr(world.asterisk, "members", lambda: shown)
    await world.desk.set_paused(1, True)
    assert {(row[0], row[4]) for row in world.asterisk.rows()} == {("sales", True), ("vip", True)}
    assert world.directory.agents[1].login == login(100, paused=True)


async def test_a_queue_is_his_at_once_and_for_good() -> None:
    world = World(agent(1, serves(it=1), login(100, paused=True)))
    await world.desk.assign(1, QUEUES["vip"], 3)

    assert world.actions == ["QueueAdd"]
    assert world.directory.agents[1].queues == serves(it=1, vip=3)
    assert world.agrees()


async def test_adding_again_changes_the_penalty_and_without_one_nothing() -> None:
    world = World(agent(1, serves(it=1), login(100)))
    await world.desk.assign(1, QUEUES["it"], 8)
    await world.desk.assign(1, QUEUES["it"], None)

    assert world.actions == ["QueuePenalty"]
    assert world.directory.agents[1].queues == serves(it=8)
    assert world.agrees()


async def test_without_a_penalty_a_new_queue_has_0() -> None:
    world = World(agent(1))
    await world.desk.assign(1, QUEUES["it"], None)

    assert world.directory.agents[1].queues == serves(it=0)


async def test_a_queue_is_not_his_any_more() -> None:
    world = World(agent(1, ALL, login(100)))
    await world.desk.unassign(1, QUEUES["sales"])
    await world.desk.unassign(1, QUEUES["sales"])

    assert world.actions == ["QueueRemove"]
    assert world.directory.agents[1].queues == serves(it=1, vip=0)
    assert world.agrees()


# ---- when parts fail: every request of every operation may be the one that is not answered


Operation = tuple[Agent, Callable[[AgentDesk], Awaitable[None]]]
OPERATIONS: dict[str, Operation] = {
    "log in": (agent(1, ALL), lambda desk: desk.log_in(1, line(100))),
    "move": (agent(1, ALL, login(100, paused=True)), lambda desk: desk.log_in(1, line(101))),
    "log out": (agent(1, ALL, login(100)), lambda desk: desk.log_out(1)),
    "pause": (agent(1, ALL, login(100)), lambda desk: desk.set_paused(1, True)),
    "go on": (agent(1, ALL, login(100, paused=True)), lambda desk: desk.set_paused(1, False)),
    "assign": (
        agent(1, serves(it=1), login(100)),
        lambda desk: desk.assign(1, QUEUES["vip"], 3),
    ),
    "penalty": (agent(1, ALL, login(100)), lambda desk: desk.assign(1, QUEUES["it"], 9)),
    "unassign": (agent(1, ALL, login(100)), lambda desk: desk.unassign(1, QUEUES["it"])),
    "take over": (agent(2, ALL, login(101)), lambda desk: desk.log_in(1, line(101))),
    "be taken over": (agent(1, ALL, login(100)), lambda desk: desk.log_in(2, line(100))),
}


@pytest.mark.parametrize("picture_is_late", [False, True])
@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("lost_at", range(6))
@pytest.mark.parametrize("name", OPERATIONS)
async def test_asterisk_lost_at_any_request_leaves_nothing_half_done(
    name: str,
    lost_at: int,
    carried_out: bool,
    picture_is_late: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    who, operation = OPERATIONS[name]
    world = World(who, agent(3 - who.id, ALL))
    before = dict(world.directory.agents)
    world.asterisk.lost_at, world.asterisk.carried_out = lost_at, carried_out
    seen = list(world.asterisk.members())
    try:
        await operation(world.desk)
    except PbxUnavailable:
        assert world.directory.agents == before
    else:
        assert world.agrees()
    with monkeypatch.context() as late:
        if picture_is_late:  # that of before the operation: only what was attempted is known
            late.setattr(world.asterisk, "members", lambda: seen)
        await world.settle()
    assert world.agrees()


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_directory_that_cannot_be_written_leaves_nothing_half_done(
    name: str, committed: bool
) -> None:
    who, operation = OPERATIONS[name]
    world = World(who, agent(3 - who.id, ALL))
    before = world.asterisk.rows()
    world.directory.writes_down, world.directory.committed = True, committed
    with pytest.raises(DatabaseUnavailable):
        await operation(world.desk)

    assert world.asterisk.rows() == before
    await world.settle()
    assert world.agrees()


async def test_a_directory_that_cannot_be_read_changes_nothing() -> None:
    world = World(agent(1, ALL))
    world.directory.down = True
    with pytest.raises(DatabaseUnavailable):
        await world.desk.log_in(1, line(100))

    assert world.actions == []


async def test_asterisk_and_the_directory_lost_one_after_the_other() -> None:
    world = World(agent(1, ALL))
    world.directory.writes_down = True
    world.asterisk.lost_at = 4  # three are granted, one is taken back
    with pytest.raises(DatabaseUnavailable):
        await world.desk.log_in(1, line(100))
    assert len(world.asterisk.rows()) == 2

    await world.settle()
    assert world.asterisk.rows() == set()


async def test_who_has_come_to_a_doubtful_place_since_stays_there() -> None:
    world = World(agent(1, ALL), agent(2, ALL))
    world.asterisk.lost_at = 1
    with pytest.raises(PbxUnavailable):
        await world.desk.log_in(1, line(100))
    world.asterisk.lost_at, world.asterisk.down = None, False
    world.asterisk.by_key.clear()  # it has restarted
    await world.desk.log_in(2, line(100))
    await world.settle()

    assert world.agrees()
    assert {row[1] for row in world.asterisk.rows()} == {"Agent_2"}


async def test_a_picture_that_is_too_old_is_no_picture() -> None:
    world = World(agent(1, ALL))
    world.asterisk.unknown = True
    with pytest.raises(PbxUnavailable):
        await world.desk.log_in(1, line(100))

    assert world.actions == []


# ---- pauses from elsewhere


async def test_a_pause_in_all_queues_is_followed() -> None:
    world = World(agent(1, ALL, login(100)))
    for place in list(world.asterisk.members()):
        world.asterisk.put(replace(place, paused=True))
    await world.desk.follow_pause("Agent_1")
    assert world.directory.agents[1].login == login(100, paused=True)
    assert world.listener.numbers == ["1"]

    for place in list(world.asterisk.members()):
        world.asterisk.put(replace(place, paused=False))
    await world.desk.follow_pause("Agent_1")
    assert world.directory.agents[1].login == login(100)


async def test_a_pause_in_some_queues_and_that_of_a_stranger_are_not_followed() -> None:
    world = World(agent(1, ALL, login(100)), agent(2, ALL))
    world.asterisk.put(replace(next(iter(world.asterisk.members())), paused=True))
    for name in ("Agent_1", "Agent_2", "Supervisor"):
        await world.desk.follow_pause(name)

    assert world.directory.agents[1].login == login(100)
    assert world.listener.numbers == []


# ---- corners


@pytest.mark.parametrize(
    "refusal",
    ["Asterisk is shutting down", "Invalid/unknown command: QueueAdd. Use Action: ListCommands"],
)
async def test_an_asterisk_that_is_not_up_is_unavailable(
    refusal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_request: Request) -> Message:
        raise PbxRefused(refusal)

    world = World(agent(1, ALL))
    monkeypatch.setattr(world.asterisk, "request", refuse)
    with pytest.raises(PbxUnavailable, match=refusal[:20]):
        await world.desk.log_in(1, line(100))

    assert world.directory.agents[1].login is None


async def test_a_change_that_the_picture_does_not_show_is_looked_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(agent(1, serves(it=1)))
    monkeypatch.setattr(asking, "SEEN_WITHIN_S", 0.05)
    monkeypatch.setattr(world.asterisk, "member", lambda _queue, _interface: None)
    await world.desk.log_in(1, line(100))

    assert world.directory.agents[1].login == login(100)
    assert world.listener.doubts == [([1], [])]


async def test_what_cannot_be_taken_back_is_looked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(agent(1, ALL))
    del world.asterisk.queues["vip"]
    request = world.asterisk.request

    async def never_remove(asked: Request) -> Message:
        if asked.action == "QueueRemove":
            raise PbxRefused("Permission denied")
        return await request(asked)

    monkeypatch.setattr(world.asterisk, "request", never_remove)
    with pytest.raises(PbxRefused, match="No such queue"):
        await world.desk.log_in(1, line(100))
    monkeypatch.undo()
    ((ids, attempted),) = world.listener.doubts
    assert (ids, [change.place.queue for change in attempted]) == ([1], ["it", "sales"])

    await world.settle()
    assert world.asterisk.rows() == set()


async def test_an_agent_who_has_just_been_removed_is_unknown() -> None:
    with pytest.raises(WrongPin):
        await World().desk.log_in(1, line(100))
