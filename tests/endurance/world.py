"""Everything that takes part: PostgreSQL, simulator, proxy, recordings, and the daemon."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pbxapi.access.passwords import hash_password
from pbxapi.access.users import PERMISSIONS
from pbxapi.directory import migrations
from pbxapi.simulator.queue_config import QueueConfig
from tests.directory.rows import add_user
from tests.endurance import asterisk, jumping_clock
from tests.endurance.asterisk import AsteriskProcess
from tests.endurance.recordings import Recordings, record_roots
from tests.services.daemon import PASSWORD, USERNAME, Daemon, environment, serving
from tests.services.ports import LOOPBACK, Ports
from tests.services.postgres import Database, PostgresServer, make_server
from tests.services.proxy import TcpProxy
from tests.services.waiting import eventually

PIN: Final = "4321"
_FIRST_LISTS_S: Final = 30


@dataclass(frozen=True, slots=True)
class World:
    """What faults are done to and what clients ask."""

    daemon: Daemon
    pbx: AsteriskProcess
    proxy: TcpProxy
    server: PostgresServer
    database: Database
    recordings: Recordings
    clock: Path


@asynccontextmanager
async def the_world(seed: int, ports: Ports) -> AsyncIterator[World]:
    """All of it runs, and the daemon has seen all of Asterisk."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pbxapi-endurance-")))
        recordings = stack.enter_context(record_roots())
        server = await asyncio.to_thread(make_server, ports)
        stack.push_async_callback(asyncio.to_thread, server.destroy)
        database = await _database(server)
        await recordings.make(database, seed)
        pbx = await stack.enter_async_context(AsteriskProcess(ports.tcp(), seed))
        proxy = TcpProxy(ports.tcp(), (LOOPBACK, pbx.port))
        await proxy.listen()
        stack.push_async_callback(proxy.close)
        clock = folder / "clock"
        jumping_clock.set_clock(clock, 0.0)
        daemon = _daemon(ports, proxy, database, recordings, clock, folder / "daemon.log")
        stack.push_async_callback(_end, daemon)
        await daemon.start()
        for event in ("cache.listed", "queues.listed", "cache.peers_listed"):
            await eventually(
                lambda name=event: daemon.events(name),
                within_s=_FIRST_LISTS_S,
                what=event,
            )
        yield World(daemon, pbx, proxy, server, database, recordings, clock)


async def _end(daemon: Daemon) -> None:
    try:
        await daemon.close()
    except TimeoutError:
        await daemon.stop(signal.SIGKILL)


def _daemon(
    ports: Ports,
    proxy: TcpProxy,
    database: Database,
    recordings: Recordings,
    clock: Path,
    log: Path,
) -> Daemon:
    port = ports.tcp()
    settings = serving(
        port,
        ports.tcp(),
        (proxy.port, "pbxapi", "pbxapi"),
        database.dsn,
        RECORDS_ROOTS=",".join(map(str, recordings.roots)),
        CLOCK_OFFSET=str(clock),
    )
    url = f"http://{LOOPBACK}:{port}/api/api.php"
    return Daemon(url, environment(settings), log, program=("-m", "tests.endurance.jumping_clock"))


async def _database(server: PostgresServer) -> Database:
    """The directory: the simulator's phones, its trunk, its queues and their agents."""
    await asyncio.to_thread(server.execute, "CREATE DATABASE pbxapi")
    database = Database(server, server.dsn("pbxapi"))
    await migrations.upgrade(database.dsn, lambda _line: None, create=True)
    phones = range(1000, 1000 + asterisk.PHONES)
    await database.execute("INSERT INTO pbxapi.dialplans VALUES (1, 'main')")
    await database.execute("INSERT INTO pbxapi.outroute VALUES (1, 'upc')")
    await database.execute("INSERT INTO pbxapi.sip VALUES (1, 'upc', 'PJSIP')")
    await database.execute(
        "INSERT INTO pbxapi.extensions (id, dialplan_id, internal_num, public_num, name,"
        " outroute_id) SELECT n, 1, n::text, '22233' || n, 'Line ' || n, 1"
        " FROM generate_series($1::int, $2) AS n",
        phones[0],
        phones[-1],
    )
    await database.execute(
        "INSERT INTO pbxapi.extension_line SELECT n, n, 'Linka_' || n, 'PJSIP'"
        " FROM generate_series($1::int, $2) AS n",
        phones[0],
        phones[-1],
    )
    await add_user(database, USERNAME, PASSWORD, permissions=tuple(PERMISSIONS))
    await _call_centre(database, asterisk.queues())
    return database


async def _call_centre(database: Database, queues: tuple[QueueConfig, ...]) -> None:
    pin = hash_password(PIN)
    for queue in queues:
        await database.execute("INSERT INTO pbxapi.queues (name) VALUES ($1)", queue.name)
        for member in queue.members:
            if not member.dynamic:
                continue
            number = member.state_interface.rpartition("_")[2]
            await database.execute(
                "INSERT INTO pbxapi.agents (number, name, full_name, pin_hash)"
                " VALUES ($1, $2, $2, $3) ON CONFLICT DO NOTHING",
                number,
                member.name,
                pin,
            )
            await database.execute(
                "INSERT INTO pbxapi.agent_queues (agent_id, queue_id, penalty)"
                " SELECT a.id, q.id, $3 FROM pbxapi.agents a, pbxapi.queues q"
                " WHERE a.number = $1 AND q.name = $2",
                number,
                queue.name,
                member.penalty,
            )
    await database.execute(
        "INSERT INTO pbxapi.agent_logins (agent_id, extension_line_id)"
        " SELECT id, number::int FROM pbxapi.agents"
    )
