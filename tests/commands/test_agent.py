"""`pbxapi agent pin`, against a real database."""

import asyncio

from pbxapi.access.passwords import PasswordChecker
from pbxapi.agents.pins import AgentPins
from pbxapi.directory.agents import Agents
from pbxapi.directory.pool import Directory
from tests.commands.cli import failure, run
from tests.services.postgres import Database


async def test_the_new_pin_is_his(database: Database) -> None:
    await database.execute(
        "INSERT INTO pbxapi.agents (id, number, name, pin_hash) VALUES (1, '1000', 'A', 'none')"
    )
    done = await asyncio.to_thread(
        run, "agent", "pin", "1000", stdin="2468\n", DATABASE_DSN=database.dsn
    )
    assert (done.returncode, done.stdout) == (0, "agent 1000 has a new PIN\n")
    assert "2468" not in done.stdout + done.stderr

    passwords = PasswordChecker()
    async with Directory(database.dsn) as directory:
        pins = AgentPins(Agents(directory), passwords, max_failures=1, lockout_s=1)
        assert (await pins.authenticate("1000", "2468", "")).name == "A"
        await pins.close()
    await passwords.close()


async def test_what_is_wrong_is_one_line(database: Database) -> None:
    unknown = await asyncio.to_thread(
        run, "agent", "pin", "1", stdin="2468\n", DATABASE_DSN=database.dsn
    )
    assert failure(unknown) == "there is no agent 1"
    await database.execute(
        "INSERT INTO pbxapi.agents (id, number, name, pin_hash) VALUES (1, '1000', 'A', 'none')"
    )
    empty = await asyncio.to_thread(run, "agent", "pin", "1000", DATABASE_DSN=database.dsn)
    assert failure(empty) == "the PIN is empty"
    away = await asyncio.to_thread(
        run, "agent", "pin", "1000", DATABASE_DSN="postgresql://127.0.0.1:1/x"
    )
    assert "what `pbxapi db status` says" in failure(away)
