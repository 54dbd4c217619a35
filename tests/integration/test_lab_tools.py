"""The smaller tools of the lab: ports, the spoiling proxy, the PHP client."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.services.lines import LINES
from tests.services.php import Php
from tests.services.ports import LOOPBACK, Ports
from tests.services.proxy import MakeProxy
from tests.services.waiting import eventually

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def test_ports_are_free_and_never_handed_out_twice(ports: Ports) -> None:
    taken = [ports.tcp(), ports.tcp(), ports.udp(), ports.udp(4)]

    assert len(set(taken)) == len(taken)


def test_two_sessions_have_ports_of_their_own(ports: Ports) -> None:
    other = Ports()
    try:
        assert abs(other.tcp() - ports.tcp()) > 1
    finally:
        other.close()


def test_lines_cover_what_a_directory_may_hold() -> None:
    in_plan_1 = [line.number for line in LINES if line.dialplan_id == 1]

    assert in_plan_1.count("1010") == 2
    assert {line.number for line in LINES if line.dialplan_id == 2} <= set(in_plan_1)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionResetError):
        while data := await reader.read(100):
            writer.write(data)
    writer.close()


@pytest.fixture
async def echo_port(ports: Ports) -> AsyncIterator[int]:
    """A server that answers with the bytes it got."""
    port = ports.tcp()
    server = await asyncio.start_server(_echo, LOOPBACK, port)
    yield port
    server.close()


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_proxy_passes_both_ways(tcp_proxy: MakeProxy, echo_port: int) -> None:
    proxy = await tcp_proxy(echo_port)
    async with connected(proxy.port) as (reader, writer):
        writer.write(b"ahoj")

        assert await reader.readexactly(4) == b"ahoj"
        assert (proxy.accepted, proxy.connections) == (1, 1)
        writer.write_eof()
        assert await reader.read() == b""


@pytest.mark.parametrize("reset", [False, True])
async def test_proxy_cuts(tcp_proxy: MakeProxy, echo_port: int, reset: bool) -> None:
    proxy = await tcp_proxy(echo_port)
    async with connected(proxy.port) as (reader, writer):
        writer.write(b"ahoj")
        await reader.readexactly(4)
        await proxy.cut(reset=reset)

        expectation = pytest.raises(ConnectionResetError) if reset else contextlib.nullcontext()
        with expectation:
            assert await reader.read() == b""
        assert proxy.connections == 0


async def test_stalled_proxy_holds_bytes_back_until_it_resumes(
    tcp_proxy: MakeProxy, echo_port: int
) -> None:
    proxy = await tcp_proxy(echo_port)
    proxy.stall("to_client")
    async with connected(proxy.port) as (reader, writer):
        writer.write(b"ahoj")
        await eventually(
            lambda: proxy.passed("to_server") == 4, within_s=5, what="the server got all"
        )
        assert proxy.passed("to_client") == 0
        proxy.resume()

        assert await reader.readexactly(4) == b"ahoj"


async def test_proxy_dribbles(tcp_proxy: MakeProxy, echo_port: int) -> None:
    proxy = await tcp_proxy(echo_port)
    proxy.dribble(1, 0.01, "to_client")
    async with connected(proxy.port) as (reader, writer):
        started = time.monotonic()
        writer.write(b"pomalu")

        assert await reader.readexactly(6) == b"pomalu"
        assert time.monotonic() - started > 0.05


async def test_proxy_cuts_in_mid_message(tcp_proxy: MakeProxy, echo_port: int) -> None:
    proxy = await tcp_proxy(echo_port)
    proxy.cut_after(3)
    async with connected(proxy.port) as (reader, writer):
        writer.write(b"polovina")

        assert await reader.read() == b"pol"


async def test_proxy_refuses_and_listens_again(tcp_proxy: MakeProxy, echo_port: int) -> None:
    proxy = await tcp_proxy(echo_port)
    await proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOOPBACK, proxy.port)
    await proxy.listen()
    async with connected(proxy.port) as (reader, writer):
        writer.write(b"x")

        assert await reader.readexactly(1) == b"x"


async def test_proxy_goes_to_another_server(
    tcp_proxy: MakeProxy, echo_port: int, ports: Ports
) -> None:
    proxy = await tcp_proxy(ports.tcp())
    async with connected(proxy.port) as (reader, _):
        assert await reader.read() == b"", "there is no server"
    proxy.set_upstream(LOOPBACK, echo_port)
    async with connected(proxy.port) as (reader, writer):
        writer.write(b"x")

        assert await reader.readexactly(1) == b"x"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_php_client_gets_what_the_server_said(php: Php, ports: Ports, method: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        seen = {**request.query, **await request.post()}
        return web.json_response({"method": request.method, "name": seen["name"]})

    app = web.Application()
    app.router.add_route("*", "/api/api.php", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = ports.tcp()
    await web.TCPSite(runner, LOOPBACK, port).start()
    try:
        call = php.get if method == "GET" else php.post
        got = await call(f"http://{LOOPBACK}:{port}/api/api.php", {"name": "Žofie & syn"})
    finally:
        await runner.cleanup()

    assert got.decoded == {"method": method, "name": "Žofie & syn"}
    assert got.raw is not None
    assert b"\\u017dofie" in got.raw


async def test_php_client_gets_false_where_nobody_listens(php: Php, ports: Ports) -> None:
    got = await php.get(f"http://{LOOPBACK}:{ports.tcp()}/", {})

    assert (got.raw, got.decoded) == (None, None)
