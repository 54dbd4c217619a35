"""Agents in a real database."""

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from pbxapi.directory.account import Account
from pbxapi.directory.agent import Agent, Assignment, Login, Queue
from pbxapi.directory.agents import Agents, member_name
from pbxapi.directory.pool import Directory
from pbxapi.errors import DatabaseUnavailable
from tests.directory.rows import add_lines
from tests.services.postgres import Database

IT, SALES = Queue(1, "FrontaIT"), Queue(2, "FrontaObchod")
AT_100 = Login(10, "100", 1, Account(id=21, sip_username="Linka_100", technology="SIP"), False)
AT_100B = Login(10, "100", 1, Account(id=22, sip_username="Linka_100b", technology="PJSIP"), False)


def agent(queues: tuple[Assignment, ...] = (), login: Login | None = None) -> Agent:
    return Agent(
        id=1, number="1000", name="Agent_01", password_hash="$x", queues=queues, login=login
    )


BOTH = (Assignment(IT, 3), Assignment(SALES, 0))


@pytest.fixture
async def agents(database: Database) -> AsyncIterator[Agents]:
    await add_lines(database)
    await database.execute(
        """
        INSERT INTO pbxapi.queues (id, name) VALUES (2, 'FrontaObchod'), (1, 'FrontaIT');
        INSERT INTO pbxapi.agents (id, number, name, pin_hash)
        VALUES (1, '1000', 'Agent_01', '$x'), (2, '1001', 'Agent_02', '$y');
        INSERT INTO pbxapi.agent_queues VALUES (1, 2, 0), (1, 1, 3);
        """
    )
    async with Directory(database.dsn) as directory:
        yield Agents(directory)


async def test_an_agent_with_his_queues_by_name(agents: Agents) -> None:
    assert await agents.by_number("1000") == agent(BOTH)
    assert await agents.by_name("Agent_01") == agent(BOTH)
    assert await agents.by_ids([1, 99]) == (agent(BOTH),)
    assert [each.name for each in await agents.all()] == ["Agent_01", "Agent_02"]
    for number in ("1", "", "1000\0", "\ud800", "Agent_01"):
        assert await agents.by_number(number) is None
    assert await agents.by_name("x\0") is None


async def test_logging_in_moving_and_out(agents: Agents) -> None:
    await agents.log_in(1, 21, paused=False)
    assert (await agents.by_ids([1]))[0].login == AT_100
    await agents.log_in(1, 22, paused=False)
    assert (await agents.by_ids([1]))[0].login == AT_100B
    assert await agents.at_line(10) == {1}
    assert await agents.at_line(11) == frozenset()
    await agents.log_out(1)
    await agents.log_out(1)
    assert await agents.by_number("1000") == agent(BOTH)


async def test_taking_over_logs_the_other_out_in_the_same_breath(agents: Agents) -> None:
    await agents.log_in(1, 21, paused=False)
    await agents.log_in(2, 22, paused=True, instead_of=[1])

    first, second = await agents.all()
    assert first.login is None
    assert second.login is not None
    assert second.login.paused
    with pytest.raises(DatabaseUnavailable):
        await agents.log_in(1, 999, paused=False, instead_of=[2])
    assert await agents.at_line(10) == {2}


async def test_a_pause_lasts_as_long_as_the_login(agents: Agents) -> None:
    await agents.set_paused(1, True)
    assert (await agents.by_ids([1]))[0].login is None
    await agents.log_in(1, 21, paused=False)
    await agents.set_paused(1, True)
    paused = (await agents.by_ids([1]))[0].login
    assert paused is not None
    assert paused.paused


async def test_assigning_changing_and_taking_away(agents: Agents) -> None:
    assert await agents.queue_by_name("FrontaIT") == IT
    assert await agents.queue_by_name("frontaIT") == IT
    assert await agents.queue_by_name("FrontaI") is None
    assert await agents.queue_by_name("x\0") is None
    await agents.assign(2, 1, 4)
    await agents.assign(2, 1, 2**31 - 1)
    assert (await agents.by_ids([2]))[0].queues == (Assignment(IT, 2**31 - 1),)
    await agents.unassign(2, 1)
    await agents.unassign(2, 1)
    assert (await agents.by_ids([2]))[0].queues == ()


async def test_the_daemons_role_may_do_all_of_it(database: Database, agents: Agents) -> None:
    await database.execute("CREATE ROLE agent_test_daemon LOGIN IN ROLE pbxapi_daemon")
    try:
        as_daemon = database.dsn.replace("postgres:", "agent_test_daemon:", 1)
        async with Directory(as_daemon) as directory:
            theirs = Agents(directory)
            await theirs.log_in(1, 21, paused=False)
            await theirs.set_paused(1, True)
            await theirs.assign(1, 1, 9)
            await theirs.unassign(1, 2)
            await theirs.log_in(2, 22, paused=False, instead_of=[1])
            await theirs.log_out(2)
            assert await theirs.all() == await agents.all()
    finally:
        await database.execute("DROP ROLE agent_test_daemon")


async def test_views_may_be_in_the_place_of_tables(database: Database, agents: Agents) -> None:
    """The statements lean on no constraint: a product's tables have their own."""
    await database.execute(
        """
        ALTER TABLE pbxapi.agent_logins RENAME TO theirs;
        ALTER TABLE pbxapi.theirs DROP CONSTRAINT agent_logins_pkey;
        CREATE VIEW pbxapi.agent_logins AS SELECT * FROM pbxapi.theirs;
        """
    )
    for account in (21, 22, 23):
        await agents.log_in(1, account, paused=False, instead_of=[2])
    assert len(await database.fetch("SELECT * FROM pbxapi.theirs")) == 1
    await agents.log_out(1)
    assert await database.fetch("SELECT * FROM pbxapi.theirs") == []


class Rows:
    """A directory with one made-up row."""

    def __init__(self, **changes: object) -> None:
        row: dict[str, object] = {
            "id": 1, "number": "1000", "name": "Agent_01", "pin_hash": "$x", "account_id": 21,
            "sip_username": "Linka_100", "technology": "SIP", "paused": False, "extension_id": 10,
            "internal_num": "100", "dialplan_id": 1, "queue_id": 1, "queue": "FrontaIT",
            "penalty": 3,
        }  # fmt: skip
        self.row = row | changes

    async def fetch(self, _name: str, /, *_args: object) -> list[dict[str, object]]:
        return [self.row]


@pytest.mark.parametrize(
    "changes",
    [
        {"sip_username": "a&SIP/b"},
        {"technology": "IAX2"},
        {"internal_num": "100@x"},
        {"internal_num": None},
        {"dialplan_id": None},
    ],
)
async def test_a_login_that_could_be_syntax_is_none(changes: dict[str, object]) -> None:
    with capture_logs() as logs:
        (found,) = await Agents(Rows(**changes)).all()

    assert found.login is None
    assert [entry["event"] for entry in logs] == ["directory.login_ignored"]


async def test_what_a_view_leaves_out_is_none() -> None:
    (found,) = await Agents(Rows(pin_hash=None, name=None, penalty=None, technology="sip")).all()

    assert (found.password_hash, found.name) == ("", "")
    assert found.queues == (Assignment(IT, 0),)
    assert found.login == AT_100


def test_a_long_name_is_cut_as_asterisk_does_between_letters() -> None:
    assert member_name("ž" * 79) == "ž" * 39
    assert member_name("a" * 79) == "a" * 79
