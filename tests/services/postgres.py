"""Real PostgreSQL: a throw-away server for the session, a fresh migrated database for each test.

The server is a container where a Docker engine answers at once and has the image (or nothing else
is there), else a private one of the PostgreSQL that is installed here. Nothing of it is durable.

Fixtures:
    database      a fresh database with the whole schema, on the session's server
    own_database  the same on a server of its own, which the test may stop, kill and start
    empty_database a fresh database with nothing in it

Tests that use one of them get the marker `postgres`.
"""

import asyncio
import gc
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
import pytest
from blockbuster import BlockBuster

from pbxapi.directory import migrations
from tests.services.ports import LOOPBACK, Ports
from tests.services.processes import ChildProcess
from tests.services.requirements import unavailable
from tests.services.waiting import eventually_blocking

#: The oldest PostgreSQL that is supported, where a container decides.
_IMAGE: Final = "postgres:13-alpine"
_ENGINE_TIMEOUT_S: Final = 2
_START_TIMEOUT_S: Final = 20
_STOP_TIMEOUT_S: Final = 10
#: For the data and the log of changes of several servers.
_ROOM_BYTES: Final = 2 * 2**30
_SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_wal_size": "128MB",
    "timezone": "UTC",
}
_TEMPLATE: Final = "pbxapi_template"
_FIXTURES: Final = frozenset({"postgres_server", "own_database"})

_numbers = itertools.count(1)
T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a loop of its own, whatever loop this thread may have."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


class PostgresServer(ABC):
    """A server on a port of loopback that stays the same over stop and start."""

    port: int
    password = "not-secret"

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://postgres:{self.password}@{LOOPBACK}:{self.port}/{database}"

    @abstractmethod
    def start(self) -> None:
        """Start it, and wait until it accepts connections."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it as an administrator does: sessions are told, files are left in order."""

    @abstractmethod
    def kill(self) -> None:
        """End it as a power cut does."""

    @abstractmethod
    def destroy(self) -> None:
        """End it and forget its data."""

    def execute(self, sql: str, database: str = "postgres") -> None:
        """Run a statement as the superuser."""
        run(Database(self, self.dsn(database)).execute(sql))

    def _accepts(self) -> bool:
        try:
            self.execute("SELECT")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    def _wait_until_it_accepts(self) -> None:
        eventually_blocking(self._accepts, within_s=_START_TIMEOUT_S, what="PostgreSQL accepts")


@dataclass(frozen=True, slots=True)
class Database:
    """One database; the user of its DSN is the superuser."""

    server: PostgresServer
    dsn: str

    async def execute(self, sql: str, *args: object) -> str:
        """Run a statement; returns the command tag."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.execute(sql, *args)
        finally:
            await connection.close()

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """Rows of a statement."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetch(sql, *args)
        finally:
            await connection.close()


def _memory() -> str | None:
    """A folder in memory, if there is room; None for the usual one.

    A new database is some 300 files: 25 ms there, of which the processor works 2, instead of 220
    and 200 on a disk.
    """
    folder = "/dev/shm"
    has_room = os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > _ROOM_BYTES
    return folder if has_room else None


class LocalServer(PostgresServer):
    """A private server of the programs in `binaries`; runs as postgres where we are root."""

    def __init__(self, binaries: Path, port: int) -> None:
        self.port = port
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="pbxapi-postgres-", dir=_memory()))
        self._data = self._folder / "data"
        self._child: ChildProcess | None = None
        self._as_postgres: tuple[str, ...] = ()
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
            user = ("--reuid=postgres", "--regid=postgres", "--init-groups")
            # The change of user clears the parent-death signal: set it once more after that.
            self._as_postgres = ("setpriv", *user, "--pdeathsig=KILL", "--")
        self._initialize()

    def _initialize(self) -> None:
        options = ("-U", "postgres", "-E", "UTF8", "--locale=C", "--auth=trust", "--no-sync")
        initdb = (
            *self._as_postgres,
            str(self._binaries / "initdb"),
            "-D",
            str(self._data),
            *options,
        )
        done = subprocess.run(initdb, cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        settings = {
            **_SETTINGS,
            "port": str(self.port),
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
        }
        options = [option for item in settings.items() for option in ("-c", "=".join(item))]
        self._child = ChildProcess(
            [*self._as_postgres, self._binaries / "postgres", "-D", self._data, *options],
            cwd=Path("/"),
            output=self._folder / "log",
        )
        self._wait_until_it_accepts()

    def stop(self) -> None:
        child = self._child
        if child is None or not child.running:
            return
        os.kill(child.pid, signal.SIGINT)  # "fast": SIGTERM would wait for clients to leave
        eventually_blocking(
            lambda: not child.running, within_s=_STOP_TIMEOUT_S, what="PostgreSQL has stopped"
        )

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()

    def destroy(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)


class ContainerServer(PostgresServer):
    """A server in a container; its port is bound, since a random one changes with each start."""

    def __init__(self, port: int) -> None:
        self.port = port
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer releases prefer another name of the module
            from testcontainers.postgres import PostgresContainer  # noqa: PLC0415 - slow, rare
        options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        self._container = (
            PostgresContainer(_IMAGE, username="postgres", password=self.password)
            .with_bind_ports(5432, port)
            .with_command(f"postgres {options}")
        )
        self._is_made = False

    def start(self) -> None:
        if self._is_made:
            self._container.get_wrapped_container().start()
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._container.start()
            self._is_made = True
        self._wait_until_it_accepts()

    def stop(self) -> None:
        # The image asks for SIGINT as its stop signal, which is "fast".
        self._container.get_wrapped_container().stop(timeout=_STOP_TIMEOUT_S)

    def kill(self) -> None:
        self._container.get_wrapped_container().kill()

    def destroy(self) -> None:
        if self._is_made:
            self._container.stop()


def find_binaries() -> Path | None:
    """The folder of the newest installed server's programs; None where none is installed."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda path: float(path.parts[-3]), default=None)
    on_path = shutil.which("initdb")
    if newest is None and on_path is not None:
        newest = Path(on_path)
    return None if newest is None else newest.parent


def engine_answers(*, needs_image: bool) -> bool:
    """Whether there is a Docker engine that can be used, and has the image if that is asked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _ask_engine(needs_image=needs_image)
        finally:
            gc.collect()  # a client that failed to connect leaves its socket to the collector


def _ask_engine(*, needs_image: bool) -> bool:
    # Slow to import; it has no types of its own.
    import docker  # type: ignore[import-untyped]  # noqa: PLC0415
    from docker.errors import DockerException  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        client = docker.from_env(timeout=_ENGINE_TIMEOUT_S)
    except DockerException:
        return False
    try:
        client.ping()
        if needs_image:
            client.images.get(_IMAGE)
    except (DockerException, OSError):
        return False
    finally:
        client.close()
    return True


def make_server(ports: Ports) -> PostgresServer:
    """A server that runs; skips the test (or fails it) where this machine cannot have one."""
    binaries = find_binaries()
    server: PostgresServer
    if engine_answers(needs_image=binaries is not None):
        server = ContainerServer(ports.tcp())
    elif binaries is not None:
        server = LocalServer(binaries, ports.tcp())
    else:
        unavailable("no PostgreSQL: no Docker engine answers, no server is installed")
    try:
        server.start()
    except BaseException:
        server.destroy()
        raise
    return server


def _migrate(server: PostgresServer, database: str) -> None:
    server.execute(f"CREATE DATABASE {database}")
    run(migrations.upgrade(server.dsn(database), lambda _line: None, create=True))


@pytest.fixture(scope="session")
def postgres_server(ports: Ports) -> Iterator[PostgresServer]:
    """The session's server; never to be stopped by a test."""
    server = make_server(ports)
    yield server
    server.destroy()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    _migrate(postgres_server, _TEMPLATE)
    return _TEMPLATE


def fresh(server: PostgresServer, template: str) -> Iterator[Database]:
    """A database that is there until the iterator goes on."""
    name = f"test_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield Database(server, server.dsn(name))
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(postgres_server: PostgresServer, postgres_template: str) -> Iterator[Database]:
    """A fresh database with the whole schema."""
    yield from fresh(postgres_server, postgres_template)


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> Iterator[Database]:
    """A fresh database with nothing in it."""
    yield from fresh(postgres_server, "template1")


@pytest.fixture
def own_database(ports: Ports) -> Iterator[Database]:
    """A database with the whole schema on a server that the test may stop, kill and start."""
    server = make_server(ports)
    try:
        _migrate(server, "pbxapi")
        yield Database(server, server.dsn("pbxapi"))
    finally:
        server.destroy()


@pytest.fixture(autouse=True)
def _driver_looks_for_its_files(blockbuster: BlockBuster) -> None:
    """As libpq does, asyncpg looks for keys and passwords in the home at each connect."""
    for guarded in blockbuster.functions.values():
        guarded.can_block_in("asyncpg/connect_utils.py", {"_parse_connect_arguments"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs PostgreSQL, before markers are selected by."""
    for item in items:
        if not _FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("postgres")
