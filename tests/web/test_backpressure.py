"""Clients that take without giving or give without taking: what they occupy is bounded, counted,
and given back, and others are answered meanwhile.
"""

import asyncio
import gc
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from pbxapi.config import Listen
from pbxapi.web import backlog, connection, intake
from pbxapi.web.server import serving
from tests.services.ports import LOOPBACK
from tests.services.waiting import eventually

#: More than the kernel keeps for a socket whose other end does not read.
LARGE = bytes(16 * 1024 * 1024)
REQUEST = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
SILENT = 300


class Served:
    """A server of one large answer and one small.

    Attributes:
        cut: What it counted.
        begun: Requests for the large one that reached their handler.
    """

    def __init__(self) -> None:
        self.cut: Counter[str] = Counter()
        self.begun = 0
        self.port = 0
        self.app = web.Application()
        self.app.router.add_get("/large", self._large)
        self.app.router.add_route("*", "/small", self._small)

    async def _large(self, _request: web.Request) -> web.Response:
        self.begun += 1
        return web.Response(body=LARGE)

    async def _small(self, request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="here")

    async def asked(self, times: int) -> None:
        """Wait until the large one was asked for so often."""
        await eventually(lambda: self.begun == times, within_s=10, what="it is asked for")

    async def answers(self) -> bool:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{LOOPBACK}:{self.port}/small") as response,
        ):
            return await response.text() == "here"


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    async with serving(made.app, Listen(LOOPBACK, 0), cut=made.cut) as url:
        made.port = int(url.rpartition(":")[2])
        yield made


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    """Sockets that are closed at the end."""
    with ExitStack() as stack:
        yield stack


async def connect(served: Served, clients: ExitStack) -> socket.socket:
    client = clients.enter_context(socket.socket())
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, (LOOPBACK, served.port))
    return client


def open_connections() -> int:
    """Protocols of the server whose connection is open."""
    everything = gc.get_objects()
    return sum(isinstance(each, connection.Connection) and each.connected for each in everything)


async def test_an_answer_that_nobody_takes_is_given_up_and_counted(
    served: Served, clients: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_TIMEOUT_S", 0.2)
    for _ in range(3):
        client = await connect(served, clients)
        await asyncio.get_running_loop().sock_sendall(client, REQUEST)
    await eventually(lambda: served.cut["answer"] == 3, within_s=10, what="all are given up")
    await eventually(lambda: open_connections() == 0, within_s=10, what="nothing is kept")
    assert await served.answers()


async def test_all_answers_that_wait_have_a_limit_and_the_oldest_goes(
    served: Served, clients: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is room for two."""
    monkeypatch.setattr(backlog, "MAX_UNSENT_BYTES", 2 * len(LARGE))
    readers = []
    for number in range(1, 6):
        client = await connect(served, clients)
        await asyncio.get_running_loop().sock_sendall(client, REQUEST)
        readers.append(client)
        await served.asked(number)
    await eventually(lambda: served.cut["crowded"] == 3, within_s=10, what="three have gone")
    assert open_connections() == 2
    got = bytearray()
    async with asyncio.timeout(10):
        while len(got) < len(LARGE):
            got += await asyncio.get_running_loop().sock_recv(readers[-1], 1 << 20)
    assert served.cut == {"crowded": 3}
    assert await served.answers()


async def test_an_answer_that_is_taken_slowly_is_not(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_TIMEOUT_S", 5.0)
    reader, writer = await asyncio.open_connection(LOOPBACK, served.port)
    for _ in range(2):
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(4):
            await reader.readexactly(len(LARGE) // 4)
            await asyncio.sleep(0.05)
    writer.close()
    assert served.cut == {}


async def test_requests_of_one_who_does_not_read_wait_in_his_own_buffers(
    served: Served, clients: ExitStack
) -> None:
    client = await connect(served, clients)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    sent = 0
    # Until nothing more is taken for a while, or far more than anybody should take.
    for _ in range(100):
        try:
            while sent < 10_000_000:
                sent += client.send(REQUEST * 1000)
        except BlockingIOError:
            await asyncio.sleep(0.01)
    assert sent < 10_000_000
    assert served.begun == 1, "the second waits until the first answer is taken"
    assert await served.answers()


POST = b"POST /small HTTP/1.1\r\nHost: x\r\n"
UNFINISHED = {
    "line": b"GET /small?",
    "headers": REQUEST[:-2],
    "body": POST + b"Content-Length: 250000\r\n\r\n",
    "chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n30000\r\n",
    "body after a whole request": REQUEST.replace(b"large", b"small")
    + POST
    + b"Content-Length: 250000\r\n\r\n",
}
HEADER = b"X-%d: " + b"y" * 1000 + b"\r\n"
GREEDY = 40


@pytest.mark.parametrize("kind", UNFINISHED)
async def test_unfinished_requests_have_a_limit_and_the_greediest_go(
    served: Served, clients: ExitStack, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Who was there first and has sent little is answered once his request is complete."""
    monkeypatch.setattr(intake, "MAX_UNFINISHED_BYTES", 500_000)
    reader, writer = await asyncio.open_connection(LOOPBACK, served.port)
    writer.write(b"GET /small?" + b"x" * 4000)
    await writer.drain()
    much = b"".join(HEADER % n for n in range(50)) if kind == "headers" else b"x" * 50_000
    for _ in range(GREEDY):
        client = await connect(served, clients)
        await asyncio.get_running_loop().sock_sendall(client, UNFINISHED[kind] + much)
    await eventually(lambda: served.cut["greedy"] >= GREEDY - 10, within_s=10, what="they go")
    await eventually(lambda: open_connections() <= 11, within_s=10, what="nothing is kept")
    writer.write(b" HTTP/1.0\r\n\r\n")
    assert (await reader.read()).endswith(b"here")
    writer.close()
    assert served.cut == {"greedy": served.cut["greedy"]}


async def test_what_is_complete_is_not_counted(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAX_UNFINISHED_BYTES", 50_000)
    reader, writer = await asyncio.open_connection(LOOPBACK, served.port)
    for _ in range(5):
        body = b"x" * 40_000
        writer.write(POST + b"Content-Length: 40000\r\n\r\n" + body)
        await reader.readuntil(b"here")
    writer.close()
    assert served.cut == {}


async def test_silent_connections_keep_nobody_out_and_are_ended(
    served: Served, clients: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 1.0)
    for _ in range(SILENT):
        await connect(served, clients)
    assert await served.answers()
    await eventually(lambda: served.cut["head"] == SILENT, within_s=10, what="all are ended")
    await eventually(lambda: open_connections() == 0, within_s=10, what="nothing is kept")
    assert await served.answers()
