"""The database that answers in time, or not at all."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from structlog.testing import capture_logs

from pbxapi.directory.pool import Directory
from pbxapi.errors import DatabaseUnavailable
from tests.services.ports import LOOPBACK, Ports
from tests.services.postgres import Database
from tests.services.proxy import MakeProxy, TcpProxy
from tests.services.waiting import eventually

#: What a loaded machine may add to a deadline.
SLACK_S = 0.7


async def timed(directory: Directory) -> tuple[object, float]:
    """What a statement came to, and after how many seconds."""
    started = time.monotonic()
    try:
        outcome: object = await directory.fetch("devices")
    except DatabaseUnavailable as error:
        outcome = error
    return outcome, time.monotonic() - started


async def works(directory: Directory) -> bool:
    return (await timed(directory))[0] == []


@pytest.fixture
async def proxied(database: Database, tcp_proxy: MakeProxy) -> TcpProxy:
    return await tcp_proxy(database.server.port)


def through(proxy: TcpProxy, database: Database) -> str:
    return database.dsn.replace(f":{database.server.port}/", f":{proxy.port}/")


async def sessions(database: Database) -> int:
    (row,) = await database.fetch(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'pbxapi'"
    )
    return int(row["count"])


async def test_rows_come_back_and_the_connection_is_kept(database: Database) -> None:
    async with Directory(database.dsn) as directory:
        for _ in range(5):
            assert await directory.fetch("devices") == []
        assert await sessions(database) == 1


async def test_a_statement_is_one_round_trip(database: Database, proxied: TcpProxy) -> None:
    async with Directory(through(proxied, database)) as directory:
        await directory.fetch("devices")
        await directory.fetch("devices")
        before = proxied.passed("to_server")
        await directory.fetch("devices")

    # Bind, Describe, Execute, Sync of a prepared statement; a reset would be a query of its own.
    assert proxied.passed("to_server") - before < 100


async def test_nothing_connects_before_the_first_statement(database: Database) -> None:
    async with Directory(database.dsn):
        assert await sessions(database) == 0


async def test_text_is_utf_8(database: Database) -> None:
    name = "Příliš žluťoučký kůň 😀"
    await database.execute("INSERT INTO pbxapi.outroute (name) VALUES ($1)", name)
    async with Directory(database.dsn) as directory:
        (row,) = await directory.fetch("outroute_by_name", name)

    assert row["name"] == name


async def test_more_callers_than_connections_take_turns(database: Database) -> None:
    async with Directory(database.dsn, size=2) as directory:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(directory.fetch("devices")) for _ in range(50)]
        assert await sessions(database) == 2

    assert all(task.result() == [] for task in tasks)


async def test_a_slow_statement_ends_in_time_and_leaves_the_connection_sound(
    database: Database,
) -> None:
    async with Directory(database.dsn, deadline_s=0.6, size=1) as directory:
        await directory.fetch("users")
        async with locked(database, "pbxapi.api_users"):
            started = time.monotonic()
            with pytest.raises(DatabaseUnavailable, match="statement timeout"):
                await directory.fetch("users")
            assert time.monotonic() - started < 0.6 + SLACK_S
            # Other relations are not concerned, nor is anybody told that the server is down.
            assert await works(directory)
        assert await sessions(database) == 1


async def test_a_caller_who_finds_no_free_connection_waits_no_longer_than_allowed(
    database: Database,
) -> None:
    async with (
        Directory(database.dsn, deadline_s=0.5, size=1) as directory,
        locked(database, "pbxapi.api_users"),
    ):
        started = time.monotonic()
        outcomes = await asyncio.gather(
            *(directory.fetch("users") for _ in range(5)), return_exceptions=True
        )
        assert time.monotonic() - started < 0.5 + SLACK_S
    assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailable] * 5


async def test_a_silent_server_costs_the_deadline_once_and_then_nothing(
    database: Database, proxied: TcpProxy
) -> None:
    async with Directory(through(proxied, database), deadline_s=0.5) as directory:
        assert await works(directory)
        proxied.stall()
        outcome, took_s = await timed(directory)
        assert isinstance(outcome, DatabaseUnavailable)
        assert 0.4 < took_s < 0.5 + SLACK_S
        outcome, took_s = await timed(directory)
        assert isinstance(outcome, DatabaseUnavailable)
        assert took_s < 0.1
        proxied.resume()
        await eventually(lambda: works(directory), within_s=1 + SLACK_S, what="it answers")


async def test_a_server_that_is_silent_at_connect_costs_the_deadline(
    database: Database, proxied: TcpProxy
) -> None:
    proxied.stall()
    async with Directory(through(proxied, database), deadline_s=0.5) as directory:
        outcome, took_s = await timed(directory)
    assert isinstance(outcome, DatabaseUnavailable)
    assert 0.4 < took_s < 0.5 + SLACK_S


async def test_a_cut_connection_fails_what_uses_it_and_is_replaced(
    database: Database, proxied: TcpProxy
) -> None:
    async with Directory(through(proxied, database)) as directory:
        assert await works(directory)
        async with locked(database, "pbxapi.sip"):
            task = asyncio.create_task(directory.fetch("devices"))
            await eventually(
                lambda: waiting_for_a_lock(database), within_s=2, what="the statement waits"
            )
            await proxied.cut()
            with pytest.raises(DatabaseUnavailable):
                await task
        await eventually(lambda: works(directory), within_s=1 + SLACK_S, what="it works again")


async def test_a_connection_cut_while_idle_is_not_noticed_by_callers(
    database: Database, proxied: TcpProxy
) -> None:
    async with Directory(through(proxied, database)) as directory:
        assert await works(directory)
        await proxied.cut()
        await asyncio.sleep(0.05)
        assert await works(directory)


async def test_a_caller_who_gives_up_leaves_no_session_behind(database: Database) -> None:
    async with Directory(database.dsn) as directory:
        assert await works(directory)
        async with locked(database, "pbxapi.sip"):
            task = asyncio.create_task(directory.fetch("devices"))
            await eventually(
                lambda: waiting_for_a_lock(database), within_s=2, what="the statement waits"
            )
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await works(directory)
        assert await eventually(
            lambda: one_session(database), within_s=3, what="the abandoned session is gone"
        )


async def test_nothing_listens_and_it_says_so_once(ports: Ports) -> None:
    dsn = f"postgresql://postgres@{LOOPBACK}:{ports.tcp()}/pbxapi"
    now = 100.0
    with capture_logs() as logs:
        async with Directory(dsn, clock=lambda: now) as directory:
            for _ in range(3):
                outcome, took_s = await timed(directory)
                assert isinstance(outcome, DatabaseUnavailable)
                assert took_s < 1
                now += 2
    assert [entry["log_level"] for entry in logs] == ["warning", "debug", "debug"]


async def test_while_it_is_known_to_be_down_nobody_tries(
    database: Database, proxied: TcpProxy
) -> None:
    now = 100.0
    await proxied.refuse()
    async with Directory(through(proxied, database), clock=lambda: now) as directory:
        assert not await works(directory)
        await proxied.listen()
        now += 0.9
        assert not await works(directory)
        assert proxied.accepted == 0
        now += 0.2
        assert await works(directory)


@pytest.mark.parametrize(
    "dsn",
    [
        "mysql://root:hunter2@localhost/x",
        "postgresql://user:hunter2#x@localhost:12/y",
        "postgresql://user:pass@localhost:hunter2/y",
        "postgresql://user:hunter2@127.0.0.1:99999/y",
    ],
)
async def test_a_dsn_that_cannot_be_read_is_not_quoted(dsn: str) -> None:
    with capture_logs() as logs:
        async with Directory(dsn) as directory:
            with pytest.raises(DatabaseUnavailable) as caught:
                await directory.fetch("devices")
    assert "hunter2" not in f"{caught.value!r} {logs}"


async def test_a_failing_statement_is_unavailable_and_logged_with_its_name(
    empty_database: Database,
) -> None:
    with capture_logs() as logs:
        async with Directory(empty_database.dsn) as directory:
            with pytest.raises(DatabaseUnavailable, match="does not exist"):
                await directory.fetch("devices")
    assert [(entry["event"], entry["statement"]) for entry in logs] == [
        ("database.statement_failed", "devices")
    ]


async def test_a_closed_directory_refuses(database: Database) -> None:
    directory = Directory(database.dsn)
    assert await works(directory)
    await directory.close()
    await directory.close()
    with pytest.raises(DatabaseUnavailable, match="closed"):
        await directory.fetch("devices")
    assert await eventually(lambda: no_session(database), within_s=2, what="no session is left")


async def test_closing_waits_for_no_silent_server(database: Database, proxied: TcpProxy) -> None:
    directory = Directory(through(proxied, database))
    assert await works(directory)
    task = asyncio.create_task(directory.fetch("devices"))
    proxied.stall()
    started = time.monotonic()
    await directory.close()
    assert time.monotonic() - started < 1 + SLACK_S
    with pytest.raises(DatabaseUnavailable):
        await task


async def test_a_server_stopped_and_started_again_is_followed(own_database: Database) -> None:
    """Down at the start, stopped in order, killed: it works again within a second each time."""
    server = own_database.server
    await asyncio.to_thread(server.stop)
    problems: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: problems.append(what))
    async with Directory(own_database.dsn) as directory:
        for end in (server.stop, server.kill):
            assert not await works(directory)
            await asyncio.to_thread(server.start)
            await eventually(lambda: works(directory), within_s=1 + SLACK_S, what="it works")
            asked = [asyncio.create_task(timed(directory)) for _ in range(20)]
            await asyncio.to_thread(end)
            for outcome, took_s in await asyncio.gather(*asked):
                assert outcome == [] or isinstance(outcome, DatabaseUnavailable)
                assert took_s < 3 + SLACK_S
            outcome, took_s = await timed(directory)
            assert isinstance(outcome, DatabaseUnavailable)
            assert took_s < 3 + SLACK_S
            await asyncio.sleep(1)
    gc.collect()
    assert problems == []


@asynccontextmanager
async def locked(database: Database, relation: str) -> AsyncIterator[None]:
    """Nobody else can read the relation inside this block."""
    connection = await asyncpg.connect(database.dsn)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK {relation} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def waiting_for_a_lock(database: Database) -> bool:
    rows = await database.fetch("SELECT 1 FROM pg_locks WHERE NOT granted")
    return bool(rows)


async def one_session(database: Database) -> bool:
    return await sessions(database) == 1


async def no_session(database: Database) -> bool:
    return await sessions(database) == 0
