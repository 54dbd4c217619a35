"""A few hundred requests drawn from the description of the API, against a daemon that runs."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pbxapi.actions import ACTIONS
from pbxapi.simulator import Simulator, SimulatorOptions
from tests.fuzz.described import ask
from tests.services.daemon import PASSWORD, USERNAME, Daemon, StartDaemon, seed
from tests.services.postgres import Database
from tests.services.waiting import eventually

#: For each action and method.
EXAMPLES = 10


@pytest_asyncio.fixture
async def daemon(database: Database, start_daemon: StartDaemon) -> AsyncIterator[Daemon]:
    await seed(database, "PJSIP")
    async with Simulator(SimulatorOptions()) as simulator:
        started = await start_daemon(simulator.port, "pbxapi", "pbxapi")
        await eventually(
            lambda: started.events("cache.peers_listed"), within_s=10, what="a picture"
        )
        yield started


@pytest.mark.timeout(120)
async def test_every_answer_is_as_described(daemon: Daemon) -> None:
    codes = {
        action: await asyncio.to_thread(ask, action, daemon.url, USERNAME, PASSWORD, EXAMPLES)
        for action in ACTIONS
    }
    requests = sum(count.total() for count in codes.values())
    assert requests >= len(ACTIONS) * EXAMPLES
    assert all(not {"100", "110", "905"} & count.keys() for count in codes.values()), codes
    assert all(codes[action]["success"] for action in ("listcalls", "sipstatus")), codes
    assert daemon.events("request.failed") == []
