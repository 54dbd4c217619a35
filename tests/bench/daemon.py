"""A daemon as a process of its own with a database that has the lab's lines, for benches."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from yarl import URL

from pbxapi.directory import migrations
from tests.bench.report import CannotRun
from tests.services.daemon import PASSWORD, USERNAME, Daemon, environment, seed, serving
from tests.services.ports import LOOPBACK, Ports
from tests.services.postgres import Database, PostgresServer, find_binaries, make_server

_DATABASE = "bench"


@dataclass(frozen=True)
class Bench:
    """What a bench gets.

    Attributes:
        agi_port: Where it listens for FastAGI.
        pid: Of the daemon.
    """

    daemon: Daemon
    http_port: int
    agi_port: int
    pid: int

    async def counts(self, *names: str) -> dict[str, float]:
        """The metrics whose names begin so, with their labels."""
        url = URL(self.daemon.url).with_path("/-/metrics")
        auth = aiohttp.BasicAuth(USERNAME, PASSWORD, "utf-8")
        async with aiohttp.ClientSession(auth=auth) as session, session.get(url) as response:
            text = await response.text()
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(names))
        return {name: float(value) for name, value in pairs}


@asynccontextmanager
async def running(
    ami_port: int, technology: str = "PJSIP", username: str = "pbxapi", secret: str = "pbxapi"
) -> AsyncIterator[Bench]:
    """Run until the block ends, in the middle of a PBX at this port of loopback.

    Raises:
        CannotRun: there is no PostgreSQL.
    """
    if find_binaries() is None:
        raise CannotRun("PostgreSQL is not installed")
    ports = Ports()
    server = await asyncio.to_thread(make_server, ports)
    try:
        dsn = await _fill(server, technology)
        with tempfile.TemporaryDirectory(prefix="pbxapi-bench-") as folder:
            http, agi = ports.tcp(), ports.tcp()
            settings = serving(http, agi, (ami_port, username, secret), dsn)
            daemon = Daemon(
                f"http://{LOOPBACK}:{http}/api/api.php", environment(settings), Path(folder) / "log"
            )
            try:
                await daemon.start()
                yield Bench(daemon, http, agi, daemon.pid)
            finally:
                await daemon.close()
    finally:
        await asyncio.to_thread(server.destroy)
        ports.close()


async def _fill(server: PostgresServer, technology: str) -> str:
    await asyncio.to_thread(server.execute, f"CREATE DATABASE {_DATABASE}")
    dsn = server.dsn(_DATABASE)
    await migrations.upgrade(dsn, lambda _line: None, create=True)
    await seed(Database(server, dsn), technology)
    return dsn
