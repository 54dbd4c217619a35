"""Listening for HTTP, and ending."""

import asyncio
import socket
import stat
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from pbxapi.config import Listen
from pbxapi.errors import UsageError
from pbxapi.web import connection, server
from pbxapi.web.server import serving
from tests.services.ports import LOOPBACK, Ports
from tests.services.requirements import unavailable
from tests.services.waiting import eventually

ANSWER = "here"


class App:
    """An application that answers when it is let to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.begun = asyncio.Event()
        self.web = web.Application()
        self.web.router.add_get("/", self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        self.begun.set()
        await self.go.wait()
        return web.Response(text=f"{ANSWER} {request.remote}")


@pytest_asyncio.fixture
async def app() -> AsyncIterator[App]:
    made = App()
    yield made
    made.go.set()


async def get(url: str, path: str = "") -> str:
    connector = aiohttp.UnixConnector(path) if path else None
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(url) as response,
    ):
        return await response.text()


async def test_ipv4(app: App, ports: Ports) -> None:
    port = ports.tcp()
    async with serving(app.web, Listen(LOOPBACK, port)) as url:
        assert url == f"http://{LOOPBACK}:{port}"
        assert await get(url) == f"{ANSWER} {LOOPBACK}"
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(url)


async def test_ipv6(app: App) -> None:
    try:
        async with serving(app.web, Listen("::1", 0)) as url:
            assert url.startswith("http://[::1]:")
            assert await get(url) == f"{ANSWER} ::1"
    except UsageError as error:
        unavailable(f"no IPv6 here: {error}")


async def test_a_socket_that_listens_already_takes_the_place_of_the_configured_one(
    app: App, tmp_path: Path
) -> None:
    path = tmp_path / "inherited.sock"
    with socket.socket(socket.AF_UNIX) as bound, socket.create_server((LOOPBACK, 0)) as tcp:
        bound.bind(str(path))
        async with serving(app.web, Listen(path=str(path)), [bound.dup(), tcp.dup()]) as url:
            assert url == f"http+unix://{path}"
            assert (await get("http://pbx/", str(path))).startswith(ANSWER)
            assert (await get("http://{}:{}".format(*tcp.getsockname()))).startswith(ANSWER)
        assert path.exists()  # it is not ours


async def test_the_same_port_can_be_had_again_at_once(app: App, ports: Ports) -> None:
    """As after a restart, although connections of the former life are still in TIME_WAIT."""
    listen = Listen(LOOPBACK, ports.tcp())
    for _ in range(2):
        async with serving(App().web, listen) as url:
            _, writer = await asyncio.open_connection(LOOPBACK, listen.port)
            await get(url)
        writer.close()


async def test_a_port_that_is_taken_is_one_line(app: App) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError) as caught:
            async with serving(app.web, Listen(LOOPBACK, port)):
                pass
    assert str(caught.value) == f"cannot listen on {LOOPBACK}:{port}: Address already in use"


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        (Listen("192.0.2.1", 8080), "Cannot assign requested address"),
        (Listen("no-such-host.invalid", 8080), ""),
    ],
)
async def test_an_address_that_is_not_ours_is_one_line(app: App, listen: Listen, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        async with serving(app.web, listen):
            pass
    said = str(caught.value)
    assert said.startswith(f"cannot listen on {listen}: {why}")
    assert "\n" not in said
    assert "None" not in said


# Unix sockets


async def test_a_unix_socket_for_the_proxy_alone(app: App, tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    async with serving(app.web, Listen(path=str(path))) as url:
        assert url == f"http+unix://{path}"
        assert await get("http://pbx/", str(path)) == f"{ANSWER} "
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not path.exists()


async def test_a_socket_that_a_crash_has_left_is_replaced(app: App, tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.is_socket()
    async with serving(app.web, Listen(path=str(path))):
        assert await get("http://pbx/", str(path)) == f"{ANSWER} "


async def test_a_socket_on_which_somebody_listens_is_left_to_him(app: App, tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    async with serving(app.web, Listen(path=str(path))):
        with pytest.raises(UsageError, match=r"http\.sock: Address already in use$"):
            async with serving(App().web, Listen(path=str(path))):
                pass
        assert await get("http://pbx/", str(path)) == f"{ANSWER} "


def _file(folder: Path) -> Path:
    (folder / "a file").write_text("precious")
    return folder / "a file"


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (_file, "Address already in use"),
        (lambda folder: folder / "missing" / "http.sock", "No such file or directory"),
        (lambda folder: folder / ("x" * 108), "AF_UNIX path too long"),
        (lambda folder: _file(folder) / "http.sock", "Not a directory"),
    ],
    ids=["a file is there", "no directory", "too long", "a file in the way"],
)
async def test_a_path_that_cannot_be_had_is_one_line(
    app: App, tmp_path: Path, place: Callable[[Path], Path], why: str
) -> None:
    path = place(tmp_path)
    with pytest.raises(UsageError) as caught:
        async with serving(app.web, Listen(path=str(path))):
            pass
    assert str(caught.value) == f"cannot listen on unix:{path}: {why}"
    assert [file.read_text() for file in tmp_path.iterdir()] in ([], ["precious"])


# The end


async def test_a_request_under_way_is_answered_and_no_other_begun(app: App) -> None:
    app.go.clear()
    life = AsyncExitStack()
    url = await life.enter_async_context(serving(app.web, Listen(LOOPBACK, 0)))
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await app.begun.wait()

    async def is_closed() -> bool:
        try:
            _, late = await asyncio.open_connection(LOOPBACK, port)
        except ConnectionError:  # refused, or reset in the very moment
            return True
        late.close()
        return False

    async with asyncio.TaskGroup() as group:
        end = group.create_task(life.aclose())
        await eventually(is_closed, within_s=5, what="no connection is accepted")
        assert not end.done()
        app.go.set()
        assert (await reader.read()).endswith(f"{ANSWER} {LOOPBACK}".encode())
    writer.close()


@pytest.mark.parametrize("half", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_client_that_does_not_finish_its_request_delays_no_end(
    app: App, half: bytes
) -> None:
    async with serving(app.web, Listen(LOOPBACK, 0)) as url:
        reader, writer = await asyncio.open_connection(LOOPBACK, int(url.rpartition(":")[2]))
        writer.write(half)
        await get(url)
        started = time.monotonic()
    assert time.monotonic() - started < 1
    assert await reader.read() == b""
    writer.close()


async def test_a_request_without_end_is_given_up(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "GRACE_S", 0.1)
    app.go.clear()
    async with serving(app.web, Listen(LOOPBACK, 0)) as url:
        reader, writer = await asyncio.open_connection(LOOPBACK, int(url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await app.begun.wait()
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_an_idle_connection_is_closed_after_a_while(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEEPALIVE_S", 0.1)
    async with serving(app.web, Listen(LOOPBACK, 0)) as url:
        reader, writer = await asyncio.open_connection(LOOPBACK, int(url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(5):
            assert (await reader.read()).endswith(LOOPBACK.encode())
        writer.close()


async def test_an_error_that_no_handler_catches_is_500_without_details(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_request: web.Request) -> web.Response:
        raise RuntimeError("a bug")

    app = web.Application()
    app.router.add_get("/", broken)
    async with serving(app, Listen(LOOPBACK, 0)) as url:
        reader, writer = await asyncio.open_connection(LOOPBACK, int(url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"Server: pbxapi\r\n" in answer
    assert b"a bug" not in answer
    assert "a bug" in caplog.text
