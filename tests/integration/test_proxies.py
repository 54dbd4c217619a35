"""The samples for nginx and Apache: the real servers read them, in front of a real daemon.

What they promise is in docs/operations.md, "The URL of the clients".
"""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from tests.services.asterisk_lab import AsteriskLab
from tests.services.daemon import PASSWORD, USERNAME, Daemon
from tests.services.php import Php
from tests.services.ports import LOOPBACK, Ports
from tests.services.postgres import PostgresServer, fresh
from tests.services.standing import Standing
from tests.services.waiting import eventually
from tests.services.web_servers import Apache, Nginx, Upstream, WebServer, open_folder

# One process runs them all: the daemons are the module's.
pytestmark = pytest.mark.xdist_group("proxies")

AWAY = {"success": "false", "errno": "900", "reason": "PBX is not available"}
#: Bytes that a server in between could spoil: they come back in the reason.
CHANNEL = r"SIP\55 %2F+&ř-0000b704"
#: The password begins so, however it is written.
SECRET = PASSWORD.split()[0]
CLIENT = "127.0.0.2"
FORGED = "203.0.113.9"


class Site:
    """A daemon on a unix socket or on TCP, and where a web server finds it."""

    def __init__(self, standing: Standing, upstream: Upstream) -> None:
        self.standing = standing
        self.upstream = upstream

    @contextmanager
    def down(self) -> Iterator[Path]:
        """Without its unix socket, as if it had ended; gives where it was."""
        assert isinstance(self.upstream, Path)
        hidden = self.upstream.with_suffix(".hidden")
        self.upstream.rename(hidden)
        try:
            yield self.upstream
        finally:
            hidden.replace(self.upstream)


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest,
    asterisk_lab: AsteriskLab,
    ports: Ports,
    postgres_server: PostgresServer,
    postgres_template: str,
) -> Iterator[Site]:
    folder = open_folder()
    asterisk, log = asterisk_lab.get("22"), folder / "daemon.log"
    databases = fresh(postgres_server, postgres_template)
    if request.param == "unix":
        path = folder / "http.sock"
        standing = Standing(asterisk, next(databases), ports, log, socket=path)
        made = Site(standing, path)
    else:
        # As the sample's comment has it.
        standing = Standing(asterisk, next(databases), ports, log, HTTP_TRUSTED_PROXIES=LOOPBACK)
        made = Site(standing, standing.port)
    yield made
    standing.stop()
    next(databases, None)
    shutil.rmtree(folder)


@pytest_asyncio.fixture
async def daemon(site: Site) -> AsyncIterator[Daemon]:
    async with site.standing.client() as made:
        yield made


@pytest.fixture(params=[Nginx, Apache])
def server(
    request: pytest.FixtureRequest, site: Site, daemon: Daemon, ports: Ports
) -> Iterator[WebServer]:
    made: WebServer = request.param(site.upstream, ports.tcp())
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client whose address is not the web server's."""
    connector = aiohttp.TCPConnector(local_addr=(CLIENT, 0))
    async with aiohttp.ClientSession(connector=connector) as made:
        yield made


by_both = pytest.mark.parametrize("site", ["unix", "tcp"], indirect=True)
by_unix = pytest.mark.parametrize("site", ["unix"], indirect=True)


def asked(action: str, **params: str) -> dict[str, str]:
    return {"username": USERNAME, "password": PASSWORD, "action": action} | params


@pytest.mark.parametrize("kind", [Nginx, Apache])
@pytest.mark.parametrize("upstream", [Path("/run/pbxapi/http.sock"), 8080], ids=["unix", "tcp"])
def test_the_server_finds_no_fault(kind: type[WebServer], upstream: Upstream, ports: Ports) -> None:
    server = kind(upstream, ports.tcp())
    try:
        status, said = server.check()
        assert (status, said.replace("Syntax OK\n", "")) == (0, "")
    finally:
        server.close()


@by_both
async def test_a_legacy_program_gets_what_the_daemon_says(
    server: WebServer, daemon: Daemon, php: Php
) -> None:
    for params, errno in (
        (asked("listcalls"), ""),
        (asked("hangupcall", channelName=CHANNEL), "906"),
    ):
        direct = await daemon.ask(**params)
        assert direct.errno == errno
        assert (await php.get(server.url, params)).raw == direct.raw
        assert (await php.post(server.url, params)).raw == direct.raw


@by_both
async def test_the_daemon_knows_the_client_whatever_he_says_of_himself(
    server: WebServer, daemon: Daemon, session: aiohttp.ClientSession
) -> None:
    params = asked("hangupcall", channelName="SIP/1-00000001")
    headers = {"X-Forwarded-For": FORGED, "X-Real-IP": FORGED, "Forwarded": f"for={FORGED}"}
    url = URL(server.url)
    for method, asked_url, form in (("GET", url.with_query(params), None), ("POST", url, params)):
        async with session.request(method, asked_url, data=form, headers=headers) as response:
            assert (response.status, response.content_type) == (200, "application/json")
    await eventually(lambda: len(daemon.events("audit.action")) > 1, within_s=5, what="both")
    assert [event["address"] for event in daemon.events("audit.action")] == [CLIENT, CLIENT]


async def send(server: WebServer, text: str) -> None:
    """Raw bytes, until the server closes."""
    url = URL(server.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(text.encode("ascii"))
    await reader.read()
    writer.close()
    await writer.wait_closed()


async def without_daemon(server: WebServer, php: Php, params: Mapping[str, str]) -> None:
    """nginx answers in the daemon's place, Apache cannot."""
    for call in (php.get, php.post):
        answer = await call(server.url, params)
        if isinstance(server, Nginx):
            assert answer.decoded == AWAY
        else:
            assert answer.raw is None


@by_unix
async def test_while_the_daemon_is_down(
    server: WebServer, site: Site, php: Php, session: aiohttp.ClientSession
) -> None:
    """There is no socket, as after its end; then one that nobody listens on, as after a crash."""
    params = asked("listcalls")
    with site.down() as path:
        await without_daemon(server, php, params)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
            await without_daemon(server, php, params)
        async with session.get(URL(server.url).with_query(params)) as response:
            expected = (
                (200, "application/json") if isinstance(server, Nginx) else (503, "text/html")
            )
            assert (response.status, response.content_type) == expected
    # At once, not after a time in which the daemon counts as lost.
    assert (await php.get(server.url, params)).decoded["success"] == "true"


@by_unix
async def test_the_password_is_in_no_log(
    server: WebServer, site: Site, session: aiohttp.ClientSession
) -> None:
    url = URL(server.url).with_query(asked("listcalls"))
    for tried in (
        url,
        url.with_path("/other", keep_query=True),
        url.with_path("/api/api.php/below", keep_query=True),
    ):
        await (await session.get(tried)).read()
    await (await session.post(url, data=b"x" * 300_000)).read()
    for spoiled in ("HTTP/1.1\r\n", "nonsense\r\n", "HTTP/1.1\r\nHost: a b\r\n"):
        await send(server, f"GET {url.raw_path_qs} {spoiled}\r\n")
    with site.down():
        await (await session.get(url)).read()
    server.stop()
    logs = server.logs()
    down = "200 502" if isinstance(server, Nginx) else "503"
    assert f'"GET /api/api.php" {down} ' in logs["pbxapi.log"]
    assert [name for name, text in logs.items() if SECRET in text] == []
