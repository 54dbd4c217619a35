"""An ordinary daemon for each Asterisk, shared by the tests of a module.

To start a daemon with a database of its own takes longer than the call that most tests make. Who
wants nothing but a daemon that serves the lab takes this one; whoever stops it, cuts it off, wants
another configuration or changes the directory starts one of his own (`start_daemon`).

Fixtures:
    standing         the daemon and its database, where recording is on for the first extension
    standing_daemon  the same as a client sees it
"""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.services.asterisk import Asterisk, Version
from tests.services.daemon import Daemon, environment, seed, serving
from tests.services.ports import LOOPBACK, Ports
from tests.services.postgres import Database, PostgresServer, fresh, run
from tests.services.processes import ChildProcess
from tests.services.waiting import eventually

#: A lost Asterisk is looked for again after some seconds; a start takes about one.
_READY_S = 15
_STOP_S = 15


class Standing:
    """One daemon, its database and the Asterisk that it serves.

    Attributes:
        port: That it listens on, if it has no `socket`.

    Args:
        socket: The unix socket that it listens on instead.
        more: Settings, named as variables of the environment without their prefix.
    """

    def __init__(
        self,
        asterisk: Asterisk,
        database: Database,
        ports: Ports,
        log: Path,
        *,
        socket: Path | None = None,
        **more: str,
    ) -> None:
        self.port = port = ports.tcp()
        self.database = database
        self._log = log
        self._socket = socket
        self._url = f"http://{LOOPBACK}:{port}"
        run(_prepare(database, asterisk.technology))
        ami = (asterisk.ami_port, asterisk.ami_username, asterisk.ami_secret)
        if socket is not None:
            more["HTTP_LISTEN"] = f"unix:{socket}"
        settings = serving(
            port, ports.tcp(), ami, database.dsn, RECORDS_ROOTS=str(asterisk.monitor), **more
        )
        self._process = ChildProcess(
            [sys.executable, "-m", "pbxapi", "serve"],
            cwd=Path(__file__).resolve().parents[2],
            output=log,
            env=environment(settings),
        )

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Daemon]:
        """The daemon, in step with Asterisk and without a trace of the last test."""
        await self.database.execute("DELETE FROM pbxapi.cdr")
        daemon = Daemon(
            f"{self._url}/api/api.php",
            {},
            self._log,
            log_start=self._log.stat().st_size,
            socket=self._socket,
        )
        try:
            await eventually(
                lambda: self._is_ready(daemon), within_s=_READY_S, what="the daemon is ready"
            )
            yield daemon
        finally:
            await daemon.close()

    async def _is_ready(self, daemon: Daemon) -> bool:
        assert self._process.running, self._process.tail()
        return await daemon.status(f"{self._url}/-/ready") == 200 and await daemon.calls() == []

    def stop(self) -> None:
        """End it."""
        self._process.terminate(grace_s=_STOP_S)


async def _prepare(database: Database, technology: str) -> None:
    await seed(database, technology)
    await database.execute("UPDATE pbxapi.extensions SET recording = true WHERE id = 1")


class StandingDaemons:
    """Those of one module, each started when the first test asks for it."""

    def __init__(self, ports: Ports, server: PostgresServer, template: str, folder: Path) -> None:
        self._ports = ports
        self._server = server
        self._template = template
        self._folder = folder
        self._standing: dict[Version, Standing] = {}
        self._databases: list[Iterator[Database]] = []

    def get(self, asterisk: Asterisk) -> Standing:
        """The one of this Asterisk."""
        if asterisk.version not in self._standing:
            made = fresh(self._server, self._template)
            self._databases.append(made)
            log = self._folder / f"daemon-{asterisk.version}.log"
            self._standing[asterisk.version] = Standing(asterisk, next(made), self._ports, log)
        return self._standing[asterisk.version]

    def close(self) -> None:
        """End all of them."""
        for standing in self._standing.values():
            standing.stop()
        for database in self._databases:
            next(database, None)


@pytest.fixture(scope="module")
def standing_daemons(
    ports: Ports,
    postgres_server: PostgresServer,
    postgres_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[StandingDaemons]:
    """The module's daemons."""
    folder = tmp_path_factory.mktemp("standing")
    daemons = StandingDaemons(ports, postgres_server, postgres_template, folder)
    try:
        yield daemons
    finally:
        daemons.close()


@pytest.fixture
def standing(asterisk: Asterisk, standing_daemons: StandingDaemons) -> Standing:
    """The daemon of this Asterisk."""
    return standing_daemons.get(asterisk)


@pytest_asyncio.fixture
async def standing_daemon(
    standing: Standing, request: pytest.FixtureRequest
) -> AsyncIterator[Daemon]:
    """… as its clients see it; what it logged goes into the report of a test that fails."""
    async with standing.client() as daemon:
        yield daemon
        said = daemon.log_text()
    request.node.add_report_section("teardown", daemon.log.name, said)
