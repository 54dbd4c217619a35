"""The daemon's pictures of a PBX, and the legacy URL over them, without a database."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog
from aiohttp import web

from pbxapi.ami.manager import AmiManager
from pbxapi.cache.channels.view import CallList
from pbxapi.daemon import _Pictures
from pbxapi.garbage import spare_the_loop
from pbxapi.web.app import LegacyApi, make_app
from tests.contract.world import FakeGatekeeper, make_ports

PATH = "/api/api.php"
#: How often the loop is looked at.
PERIOD_S = 0.0005
QUERY = "username=voipsun&password=secretpwd&action=listcalls"


def be_like_the_daemon() -> None:
    """As `serve` begins, but log nothing: half of it would be of actions that a bench lacks."""
    spare_the_loop()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@asynccontextmanager
async def following(
    port: int, username: str = "pbxapi", secret: str = "pbxapi"
) -> AsyncIterator[_Pictures]:
    """Pictures that are kept in step with the AMI server on this port."""
    pictures = _Pictures(time.time, time.time)
    manager = AmiManager(
        host="127.0.0.1",
        port=port,
        username=username,
        secret=secret,
        listener=pictures.listener,
    )
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(manager.run()), *pictures.follow(group, manager)]
        yield pictures
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def serving(pictures: _Pictures) -> AsyncIterator[int]:
    """The legacy URL over them; gives its port."""
    calls = CallList(pictures.channels, lambda _account: None)
    ports, _ = make_ports({})
    ports = replace(ports, legs=lambda: calls.legs(time.monotonic()))
    app = make_app(LegacyApi(ports, FakeGatekeeper(), ()), PATH)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


class Stalls:
    """How long the loop could not do anything else, in seconds."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        """Look for them until cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(PERIOD_S)
            self.longest = max(self.longest, time.perf_counter() - began - PERIOD_S)
