"""A real database that is stopped, and comes back."""

import asyncio

import pytest

from pbxapi.access.credentials import Gatekeeper
from pbxapi.directory.pool import Directory
from pbxapi.errors import DatabaseUnavailable
from pbxapi.faults import Fault
from tests.access.users import HERE, LENIENT, Clock
from tests.directory.rows import add_user
from tests.services.postgres import Database
from tests.services.waiting import eventually


async def test_known_users_go_on_nobody_else_does_and_changes_hold_afterwards(
    own_database: Database,
) -> None:
    await add_user(own_database, "known", "secretpwd")
    await add_user(own_database, "stranger", "secretpwd")
    clock = Clock()
    async with (
        Directory(own_database.dsn) as directory,
        Gatekeeper(directory, clock=clock, **LENIENT) as gatekeeper,
    ):
        user = await gatekeeper.authenticate("known", "secretpwd", HERE)
        await asyncio.to_thread(own_database.server.stop)
        clock.now += 60
        assert await gatekeeper.authenticate("known", "secretpwd", HERE) == user
        with pytest.raises(DatabaseUnavailable):
            await gatekeeper.authenticate("stranger", "secretpwd", HERE)
        await asyncio.to_thread(own_database.server.start)
        await own_database.execute("DELETE FROM pbxapi.api_users WHERE username = 'known'")

        async def stranger_is_let_in() -> bool:
            try:
                await gatekeeper.authenticate("stranger", "secretpwd", HERE)
            except DatabaseUnavailable:
                return False
            return True

        await eventually(stranger_is_let_in, within_s=2, what="the database is used again")
        clock.now += 6
        with pytest.raises(Fault):
            await gatekeeper.authenticate("known", "secretpwd", HERE)
