"""What answers, each in a process of its own: the daemon's web path, a constant, more events."""

import asyncio
import multiprocessing
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from multiprocessing.connection import Connection as Pipe
from typing import Any

from aiohttp import web
from yarl import URL

from pbxapi.access.credentials import Gatekeeper
from pbxapi.access.passwords import hash_password
from pbxapi.access.users import PERMISSIONS
from pbxapi.actions import ACTIONS
from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request
from pbxapi.ami.session import AmiSession
from pbxapi.cache.channels.view import CallList
from pbxapi.cache.peers.view import PeerList
from pbxapi.config_values import Listen
from pbxapi.daemon import _owner_in, _Pictures
from pbxapi.directory.devices import DeviceIndex
from pbxapi.errors import PbxUnavailable
from pbxapi.garbage import spare_the_loop
from pbxapi.simulator.options import phones
from pbxapi.web.app import CONTENT_TYPE, LegacyApi, make_app
from pbxapi.web.moment import Moment
from pbxapi.web.server import serving
from pbxapi.web.tally import RequestTally
from tests.bench import traffic
from tests.bench.pictures import PATH, be_like_the_daemon, following, until
from tests.contract.world import make_ports

HOST = "127.0.0.1"
USERNAME, PASSWORD = "voipsun", "secretpwd"
#: Of the events so many are written together, as they come from one thing that happened.
BURST = 10
#: What the captures do not have enough of is repeated, each time in another queue.
_COPIES = 50


@contextmanager
def spawned(run: Callable[..., None], *arguments: object) -> Iterator[Pipe]:
    """A process that runs this with one end of a pipe first, until the block ends."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=run, args=(theirs, *arguments), daemon=True
    )
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()


# -- the daemon


@dataclass(frozen=True)
class Pbx:
    """What the pictures are made from, and how much there is of it."""

    ami_port: int
    channels: int
    queues: int
    accounts: int
    username: str = "pbxapi"
    secret: str = "pbxapi"


class _Database:
    """The directory with one user and so many accounts."""

    def __init__(self, accounts: int) -> None:
        user = {"id": 1, "username": USERNAME, "permissions": sorted(PERMISSIONS)}
        proof = {"password_hash": hash_password(PASSWORD), "enabled": True, "networks": []}
        self._user: dict[str, Any] = user | proof
        self._devices: list[dict[str, Any]] = [
            {"kind": "extension", "id": number, "technology": "PJSIP"}
            | {"number": device.number, "name": device.name}
            for number, device in enumerate(phones(accounts), 1)
        ]

    async def fetch(self, name: str, /, *_args: object) -> Sequence[dict[str, Any]]:
        return [self._user] if name == "user_by_name" else self._devices


class _Asterisk:
    """The clock of its host; nothing is asked of it here."""

    async def request(self, _request: Request, /) -> Message:
        raise PbxUnavailable("not in this bench")

    def asterisk_time(self) -> float:
        return time.time()


def _make_api(pictures: _Pictures, devices: DeviceIndex, gatekeeper: Gatekeeper) -> LegacyApi:
    """As `daemon.py` puts it together, without what these actions do not use."""
    calls = CallList(pictures.channels, _owner_in(devices), lambda: devices.version)
    ports, _ = make_ports({})
    moment = Moment()
    ports = replace(
        ports,
        pbx=_Asterisk(),
        legs=lambda: calls.legs(moment()),
        queue=lambda name: pictures.queues.queue(name, time.monotonic()),
        peers=PeerList(pictures.peers),
        devices=devices,
    )
    return LegacyApi(ports, gatekeeper, (), RequestTally(ACTIONS).finished, gatekeeper)


async def _answer(pipe: Pipe, pbx: Pbx) -> None:
    """Tell the port; then connect to each events' port that comes, and tell how many came at 0."""
    be_like_the_daemon()
    database = _Database(pbx.accounts)
    devices = DeviceIndex(database)
    await devices.refresh()
    async with AsyncExitStack() as stack:
        pictures = await stack.enter_async_context(
            following(pbx.ami_port, pbx.username, pbx.secret)
        )
        gatekeeper = await stack.enter_async_context(
            Gatekeeper(database, max_failures=10, lockout_s=60)
        )
        await until(lambda: len(pictures.channels.channels) >= pbx.channels)
        await until(lambda: len(pictures.queues._store.queues) >= pbx.queues)
        await until(pictures._peer_follower.first_list.is_set)
        api = _make_api(pictures, devices, gatekeeper)
        served = serving(make_app(api, PATH), Listen(HOST, 0), short_way=api)
        url = await stack.enter_async_context(served)
        pipe.send(URL(url).port)
        while True:
            session = await _connect(pictures, await asyncio.to_thread(pipe.recv))
            pipe.send(0)
            assert await asyncio.to_thread(pipe.recv) == 0
            session.close(PbxUnavailable("enough"))
            pipe.send(session.events + session.skipped)


async def _connect(pictures: _Pictures, port: int) -> AmiSession:
    """A second session that brings events to the same pictures."""
    loop = asyncio.get_running_loop()
    listener = pictures.listener
    _, session = await loop.create_connection(
        lambda: AmiSession(listener.wanted, listener.event), HOST, port
    )
    return session


def run_daemon(pipe: Pipe, pbx: Pbx) -> None:
    asyncio.run(_answer(pipe, pbx))


# -- the limit


async def _answer_always(pipe: Pipe) -> None:
    """Tell the port; then answer with each body that comes."""
    spare_the_loop()
    body = b""

    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.router.add_get(PATH, handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    pipe.send(runner.addresses[0][1])
    while True:
        body = await asyncio.to_thread(pipe.recv)
        pipe.send(len(body))


def run_constant(pipe: Pipe) -> None:
    asyncio.run(_answer_always(pipe))


# -- more events


def _events(queues: int) -> list[bytes]:
    """Captured events, about one queue after the other."""
    frames = [frame + b"\r\n\r\n" for frame in traffic.events(1).split(b"\r\n\r\n") if frame]
    names = (b"Queue: queue%d\r\n" % (number % queues) for number in range(_COPIES))
    return [re.sub(rb"Queue: [^\r]*\r\n", name, frame) for name in names for frame in frames]


async def _babble(pipe: Pipe, per_s: int, queues: int) -> None:
    frames = _events(queues)
    bursts = cycle(b"".join(frames[at : at + BURST]) for at in range(0, len(frames), BURST))

    async def write(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(traffic.BANNER)
        due = time.perf_counter()
        while not writer.is_closing():
            writer.write(next(bursts))
            due += BURST / per_s
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    server = await asyncio.start_server(write, HOST, 0)
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def run_events(pipe: Pipe, per_s: int, queues: int) -> None:
    """Write so many events a second to whoever connects; tells its port."""
    asyncio.run(_babble(pipe, per_s, queues))
