"""The demo's call centre is the same on both sides: in the simulator and in the directory."""

from importlib import resources

import asyncpg
import pytest

from pbxapi.access.passwords import PasswordChecker
from pbxapi.commands import demo_call_centre
from pbxapi.simulator import Simulator, SimulatorOptions
from pbxapi.simulator.device_states import DeviceState
from pbxapi.simulator.options import Version
from tests.services.postgres import Database

#: What a login makes of an agent: queue, interface, name, penalty, device.
_LOGGED_IN = """
    SELECT q.name AS queue, a.name, aq.penalty, e.internal_num, e.dialplan_id,
           el.technology || '/' || el.sip_username AS device
    FROM pbxapi.agent_logins l
    JOIN pbxapi.agents a ON a.id = l.agent_id
    JOIN pbxapi.agent_queues aq ON aq.agent_id = a.id
    JOIN pbxapi.queues q ON q.id = aq.queue_id
    JOIN pbxapi.extension_line el ON el.id = l.extension_line_id
    JOIN pbxapi.extensions e ON e.id = el.extension_id
"""


#: Read before a test runs: a coroutine must not read files.
_LINES = resources.files("pbxapi.commands").joinpath("demo.sql").read_text()


async def fill(database: Database, technology: str) -> None:
    """The demo's directory."""
    connection = await asyncpg.connect(database.dsn)
    try:
        await connection.execute(_LINES)
        await connection.execute("UPDATE pbxapi.extension_line SET technology = $1", technology)
        await demo_call_centre.fill(connection)
    finally:
        await connection.close()


@pytest.mark.parametrize("version", [16, 22])
async def test_who_is_logged_in_is_a_member(database: Database, version: Version) -> None:
    technology = {16: "SIP", 22: "PJSIP"}[version]
    await fill(database, technology)
    directory = sorted(
        (
            row["queue"],
            f"Local/{row['internal_num']}@extensions-dialplanid-{row['dialplan_id']}",
            row["name"],
            row["penalty"],
            row["device"],
        )
        for row in await database.fetch(_LOGGED_IN)
    )
    options = SimulatorOptions(version=version, queues=demo_call_centre.queues(technology))
    async with Simulator(options) as simulator:
        members = [(q.name, m) for q in simulator.queues.values() for m in q.members.values()]
        assert directory == sorted(
            (name, m.interface, m.name, m.penalty, m.state_interface)
            for name, m in members
            if m.dynamic
        )
        assert {m.status for _, m in members} == {DeviceState.NOT_INUSE}
        known = {row["name"] for row in await database.fetch("SELECT name FROM pbxapi.queues")}
        assert known == {queue.name for queue in simulator.queues.values()}


async def test_every_agent_has_the_pin_and_some_are_not_logged_in(database: Database) -> None:
    await fill(database, "PJSIP")
    agents = await database.fetch("SELECT number, pin_hash FROM pbxapi.agents")
    assert len(agents) == len(demo_call_centre.AGENTS)
    checker = PasswordChecker()
    try:
        for agent in agents:
            key, pin_hash = agent["number"].encode(), agent["pin_hash"]
            assert await checker.is_right(key, agent["number"], demo_call_centre.PIN, pin_hash)
    finally:
        await checker.close()
    [row] = await database.fetch("SELECT count(*) AS n FROM pbxapi.agent_logins")
    assert 0 < row["n"] < len(agents)
