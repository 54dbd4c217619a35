"""The daemon as an operator runs it: a process of its own, started by `pbxapi serve`."""

import asyncio
import functools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from yarl import URL

from pbxapi.access.passwords import hash_password
from pbxapi.access.users import PERMISSIONS
from tests.services.lines import LINES, TRUNK
from tests.services.ports import LOOPBACK, Ports
from tests.services.postgres import Database
from tests.services.waiting import eventually

USERNAME = "voipsun"
PASSWORD = "secretpwd & +ř"

_START_S = 15
_STOP_S = 15


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client got."""

    raw: bytes
    status: int
    headers: Mapping[str, str]

    @property
    def data(self) -> dict[str, Any]:
        """The JSON of it."""
        data: dict[str, Any] = json.loads(self.raw)
        return data

    @property
    def errno(self) -> str:
        """The code of an error, "" of a success."""
        return str(self.data.get("errno", ""))


class Daemon:
    """One process of `pbxapi serve`.

    Attributes:
        url: The legacy URL.
        environment: That of its process, which has its configuration.
        log: The file that its standard error goes to.

    Args:
        program: What stands for `pbxapi` in its command.
        socket: The unix socket that it listens on; the host of the URL is then only a name.
    """

    def __init__(
        self,
        url: str,
        environment: Mapping[str, str],
        log: Path,
        config: Path | None = None,
        program: Sequence[str] = ("-m", "pbxapi"),
        *,
        log_start: int = 0,
        socket: Path | None = None,
    ) -> None:
        self.url = url
        self.log = log
        self._log_start = log_start
        self._program = program
        self.environment = environment
        self._arguments = [] if config is None else ["--config", str(config)]
        self._process: asyncio.subprocess.Process | None = None
        connector = None if socket is None else aiohttp.UnixConnector(str(socket))
        self._session = aiohttp.ClientSession(connector=connector)

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._program,
                "serve",
                *self._arguments,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stderr=log,
            )
        await eventually(self._listens, within_s=_START_S, what="the daemon listens")

    async def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, self.log.read_text()
        try:
            async with self._session.get(self.url):
                return True
        except aiohttp.ClientConnectionError:
            return False

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal that does not end it."""
        assert self._process is not None
        self._process.send_signal(number)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it; returns its exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(_STOP_S):
            return await self._process.wait()

    async def close(self) -> None:
        """End it for good."""
        await self._session.close()
        if self._process is not None:
            await self.stop()

    async def ask(self, action: str, **params: str) -> Answer:
        """What a GET of the action answers, asked by the user who may do everything."""
        everything = {"username": USERNAME, "password": PASSWORD, "action": action} | params
        async with self._session.get(URL(self.url).with_query(everything)) as response:
            return Answer(await response.read(), response.status, response.headers)

    async def calls(self) -> list[dict[str, str]]:
        """Rows of `listcalls`."""
        rows: list[dict[str, str]] = (await self.ask("listcalls")).data["results"]
        return rows

    async def status(self, url: str) -> int:
        """Status of a GET; 0 where nobody listens."""
        try:
            async with self._session.get(url) as response:
                return response.status
        except aiohttp.ClientConnectionError:
            return 0

    def log_text(self) -> str:
        """What it has logged."""
        return self.log.read_bytes()[self._log_start :].decode()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Lines of its log with this event."""
        lines = map(json.loads, self.log_text().splitlines())
        return [line for line in lines if line.get("event") == name]


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without settings of the machine, and with these, named without prefix."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PBXAPI_")}
    return ours | {f"PBXAPI_{name}": value for name, value in (settings or {}).items()}


def serving(
    http_port: int, agi_port: int, ami: tuple[int, str, str], dsn: str, **more: str
) -> dict[str, str]:
    """Settings of a daemon on loopback; `ami` is the port, the user's name, and his secret."""
    ami_port, username, secret = ami
    return {
        "HTTP_LISTEN": f"{LOOPBACK}:{http_port}",
        "AMI_PORT": str(ami_port),
        "AMI_USERNAME": username,
        "AMI_SECRET": secret,
        "FASTAGI_LISTEN": f"{LOOPBACK}:{agi_port}",
        "DATABASE_DSN": dsn,
    } | more


StartDaemon = Callable[..., Awaitable[Daemon]]


@pytest_asyncio.fixture
async def start_daemon(
    tmp_path: Path, ports: Ports, database: Database, request: pytest.FixtureRequest
) -> AsyncIterator[StartDaemon]:
    """`await start_daemon(ami_port, ami_username, ami_secret, **overrides)` on a fresh database.

    Overrides are variables of the environment without their prefix: `LOG_LEVEL="debug"`. `config`
    is a file with what they do not say.
    """
    daemons: list[Daemon] = []

    async def start(
        ami_port: int,
        ami_username: str,
        ami_secret: str,
        config: Path | None = None,
        **overrides: str,
    ) -> Daemon:
        port = ports.tcp()
        settings = serving(
            port, ports.tcp(), (ami_port, ami_username, ami_secret), database.dsn, **overrides
        )
        daemon = Daemon(
            f"http://{LOOPBACK}:{port}/api/api.php",
            environment(settings),
            tmp_path / f"daemon-{len(daemons)}.log",
            config,
        )
        daemons.append(daemon)
        await daemon.start()
        return daemon

    yield start
    for daemon in daemons:
        await daemon.close()
        request.node.add_report_section("teardown", daemon.log.name, daemon.log.read_text("utf-8"))


_hash_of_password = functools.cache(hash_password)


async def seed(database: Database, technology: str) -> None:
    """Put the lines of the lab, its trunk and one API user into the directory."""
    connection = await asyncpg.connect(database.dsn)
    try:
        await _seed(connection, technology)
    finally:
        await connection.close()


async def _seed(connection: asyncpg.Connection, technology: str) -> None:
    await connection.execute("INSERT INTO pbxapi.dialplans VALUES (1, 'prvni'), (2, 'druhy')")
    await connection.execute("INSERT INTO pbxapi.outroute VALUES (1, 'odchozi')")
    await connection.execute("INSERT INTO pbxapi.sip VALUES (7, $1, $2)", TRUNK, technology)
    await connection.execute(
        "INSERT INTO pbxapi.api_users (username, password_hash, permissions) VALUES ($1, $2, $3)",
        USERNAME,
        _hash_of_password(PASSWORD),
        sorted(PERMISSIONS),
    )
    extensions: dict[tuple[int, str], int] = {}
    for number, line in enumerate(LINES, start=1):
        key = (line.dialplan_id, line.number)
        if key not in extensions:
            extensions[key] = number
            await connection.execute(
                "INSERT INTO pbxapi.extensions"
                " (id, dialplan_id, internal_num, public_num, name, outroute_id)"
                " VALUES ($1, $2, $3, $4, $5, 1)",
                number,
                line.dialplan_id,
                line.number,
                f"299{line.dialplan_id}{line.number}",
                line.name,
            )
        await connection.execute(
            "INSERT INTO pbxapi.extension_line VALUES ($1, $2, $3, $4)",
            100 + number,
            extensions[key],
            line.username,
            technology,
        )
