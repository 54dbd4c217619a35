"""The daemon under systemd: what it says there, and a SIGHUP in the middle of calls."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from yarl import URL

from pbxapi.simulator import Simulator, SimulatorOptions
from tests.directory.rows import add_user
from tests.services.daemon import Daemon, StartDaemon, seed
from tests.services.postgres import Database
from tests.services.systemd import Receiver
from tests.services.waiting import eventually

SETTINGS = '[log]\nlevel = "{level}"\n[http]\npath = "{path}"\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "pbxapi.toml"
    path.write_text(SETTINGS.format(level="error", path="/api/api.php"))
    return path


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorOptions(version=22)) as running:
        yield running


@pytest_asyncio.fixture
async def daemon(
    database: Database,
    start_daemon: StartDaemon,
    simulator: Simulator,
    receiver: Receiver,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Daemon:
    await seed(database, "PJSIP")
    monkeypatch.setenv("NOTIFY_SOCKET", receiver.address)
    monkeypatch.setenv("WATCHDOG_USEC", "600000")
    started = await start_daemon(simulator.port, "pbxapi", "pbxapi", config)
    await eventually(lambda: receiver.said("READY=1"), within_s=15, what="it is ready")
    return started


async def reload(daemon: Daemon, event: str) -> None:
    seen = len(daemon.events(event))
    daemon.send_signal(signal.SIGHUP)
    await eventually(lambda: len(daemon.events(event)) > seen, within_s=10, what=event)


class Client:
    """A client with one connection that it keeps."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, username: str) -> str:
        """The body of the answer."""
        query = f"username={username}&password=secretpwd&action=listcalls"
        self._writer.write(f"GET /api/api.php?{query} HTTP/1.1\r\nHost: pbx\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: ([0-9]+)", head)
        assert length is not None
        return (await self._reader.readexactly(int(length[1]))).decode()


@pytest_asyncio.fixture
async def client(daemon: Daemon) -> AsyncIterator[Client]:
    url = URL(daemon.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    yield Client(reader, writer)
    writer.close()
    await writer.wait_closed()


async def test_a_life_under_systemd(
    daemon: Daemon,
    client: Client,
    database: Database,
    receiver: Receiver,
    config: Path,
    simulator: Simulator,
) -> None:
    """One daemon for all of it: a start costs a second."""
    await daemon.ask("originate", srcExtenInternalNum="1000", dialplanName="prvni", dstNum="1")
    before = await eventually(daemon.calls, within_s=5, what="a call")
    lists = len(simulator.received_actions("CoreShowChannels"))
    assert '"errno":"100"' in await client.ask("new")
    await add_user(database, "new", "secretpwd")
    config.write_text(SETTINGS.format(level="info", path="/new"))

    await reload(daemon, "config.reloaded")

    assert daemon.events("request.refused") == []
    assert '"errno":"100"' in await client.ask("nobody")
    assert len(daemon.events("request.refused")) == 1
    assert '"success":"true"' in await client.ask("new")
    assert {row["channelName"] for row in before} <= {
        row["channelName"] for row in await daemon.calls()
    }
    assert len(simulator.received_actions("CoreShowChannels")) == lists
    assert len(simulator.received_actions("Login")) == 1
    assert daemon.events("config.reloaded")[0]["changed"] == ["log.level"]
    assert daemon.events("config.waits_for_restart")[0]["keys"] == ["http.path"]
    names = [name for datagram in receiver.told for name in datagram]
    reloading = names.index("RELOADING=1")
    assert names[reloading + 1].startswith("MONOTONIC_USEC=")
    assert "READY=1" in names[reloading:]

    config.write_text("[log\n")
    await reload(daemon, "config.not_reloaded")
    assert '"success":"true"' in await client.ask("new")

    await eventually(lambda: receiver.said("WATCHDOG=1") > 5, within_s=5, what="it lives")
    assert await daemon.stop() == 0
    assert receiver.said("STOPPING=1") == 1
