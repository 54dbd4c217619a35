"""One client against servers that do what servers do."""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pbxapi.load.connection import Answer, Connection, _kind_of
from pbxapi.load.target import Target
from tests.services.ports import LOOPBACK, Ports
from tests.services.waiting import eventually

OK = b'HTTP/1.1 200 OK\r\nX: y\r\ncontent-length: 18\r\n\r\n{"success":"true"}'
GOOD = Answer("", b'{"success":"true"}')
TIMEOUT_S = 5.0


class Server:
    """Sends these parts after each request; counts connections and requests."""

    def __init__(self, *parts: bytes, closes: bool = False) -> None:
        self.parts = parts
        self.closes = closes
        self.connections = self.requests = self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                for part in self.parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.001)
                if self.closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()
        self.open -= 1


@asynccontextmanager
async def connected(server: Server, timeout_s: float = TIMEOUT_S) -> AsyncIterator[Connection]:
    listener = await asyncio.start_server(server.serve, LOOPBACK, 0)
    port = listener.sockets[0].getsockname()[1]
    connection = Connection(Target(LOOPBACK, port, "/"), timeout_s)
    try:
        yield connection
    finally:
        connection.close()
        await eventually(lambda: not server.open, within_s=5, what="its connections are closed")
        listener.close()
        await listener.wait_closed()


REQUEST = b"GET / HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("parts", [(OK,), (OK[:5], OK[5:40], OK[40:])], ids=["whole", "in pieces"])
async def test_a_connection_is_kept(parts: tuple[bytes, ...]) -> None:
    server = Server(*parts)
    async with connected(server) as connection:
        assert [await connection.ask(REQUEST) for _ in range(3)] == [GOOD] * 3
    assert (server.connections, server.requests) == (1, 3)


@pytest.mark.parametrize("header", [b"", b"Connection: close\r\n"], ids=["silently", "as told"])
async def test_a_connection_that_was_closed_is_made_again(header: bytes) -> None:
    server = Server(OK.replace(b"X: y\r\n", header or b"X: y\r\n"), closes=True)
    async with connected(server) as connection:
        assert await connection.ask(REQUEST) == GOOD
        await asyncio.sleep(0.05)
        assert await connection.ask(REQUEST) == GOOD
    assert (server.connections, server.requests) == (2, 2)


@pytest.mark.parametrize(
    ("sent", "failure"),
    [
        (OK.replace(b"200 OK", b"503 Busy"), "http 503"),
        (OK.replace(b"HTTP/1.1 200", b"200"), "not http"),
        (OK.replace(b"content-length: 18", b"Transfer-Encoding: chunked"), "not http"),
        (OK + b"more", "not http"),
        (b"x" * 70_000, "not http"),
        (b"", "closed"),
        (OK[:-1], "closed"),
    ],
)
async def test_a_bad_answer_is_a_failure_and_nothing_is_sent_twice(
    sent: bytes, failure: str
) -> None:
    server = Server(sent, closes=True)
    async with connected(server) as connection:
        answer = await connection.ask(REQUEST)
    assert (answer.failure, answer.is_connected, server.requests) == (failure, True, 1)


async def test_a_late_answer_is_not_that_of_the_next_request() -> None:
    server = Server()
    async with connected(server, timeout_s=0.1) as connection:
        assert (await connection.ask(REQUEST)).failure == "timeout"
        server.parts = (OK,)
        connection._timeout_s = TIMEOUT_S
        assert await connection.ask(REQUEST) == GOOD
    assert server.connections == 2


async def test_nobody_listens(ports: Ports) -> None:
    for target in (
        Target(LOOPBACK, ports.tcp(), "/"),
        Target("", 0, "/", socket="/nowhere/http.sock"),
    ):
        answer = await Connection(target, TIMEOUT_S).ask(REQUEST)
        assert (answer.failure, answer.is_connected) == ("refused", False)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.EMFILE, "x"), "EMFILE"),
        (OSError("Multiple exceptions"), "OSError"),
        (BrokenPipeError(), "closed"),
    ],
)
def test_kinds_of_errors(error: OSError, kind: str) -> None:
    assert _kind_of(error) == kind
