"""Applying migrations: once, wholly or not at all, and never over somebody else's schema."""

import asyncio
import re
from dataclasses import replace

import asyncpg
import pytest

from pbxapi.directory import migrations
from pbxapi.directory.migrations import LOCK_KEY, Migration, load_migrations, status, upgrade
from pbxapi.errors import UsageError
from tests.services.ports import LOOPBACK, Ports
from tests.services.postgres import Database
from tests.services.proxy import MakeProxy
from tests.services.waiting import eventually

PACKAGED = load_migrations()
ONE = Migration(version=1, name="one", sql="CREATE TABLE pbxapi.one (id int)")
TWO = Migration(version=2, name="two", sql="CREATE TABLE pbxapi.two (id int)")
BROKEN = replace(TWO, sql="CREATE TABLE pbxapi.two (id int); SELECT nonsense")


def nobody(_line: str) -> None:
    """Not interested in what is said."""


@pytest.fixture
def without_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    """The made-up migrations of these tests make no relations to grant rights on."""
    monkeypatch.setattr(migrations, "_read", lambda _name: "SELECT")


async def tables(database: Database) -> set[str]:
    rows = await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'pbxapi'")
    return {row["tablename"] for row in rows}


def test_the_packaged_migrations_are_numbered_without_a_gap() -> None:
    versions = [migration.version for migration in PACKAGED]

    assert versions == list(range(1, len(PACKAGED) + 1))


async def test_from_nothing_to_everything_and_again(empty_database: Database) -> None:
    said: list[str] = []
    before = await status(empty_database.dsn)
    after = await upgrade(empty_database.dsn, said.append, create=True)
    again = await upgrade(empty_database.dsn, said.append, create=True)

    assert before.problem == "there is no schema pbxapi: run `pbxapi db init`"
    assert after == again == await status(empty_database.dsn)
    assert after.problem is None
    assert after.applied == tuple(map(str, PACKAGED))
    assert [line for line in said if line.startswith("applied")] == [
        f"applied {migration}" for migration in PACKAGED
    ]


async def test_upgrade_does_not_make_a_schema(empty_database: Database) -> None:
    with pytest.raises(UsageError, match="pbxapi db init"):
        await upgrade(empty_database.dsn, nobody)


async def test_a_schema_that_an_administrator_made_empty_is_filled(
    empty_database: Database,
) -> None:
    await empty_database.execute("CREATE SCHEMA pbxapi")

    assert (await upgrade(empty_database.dsn, nobody)).problem is None


@pytest.mark.usefixtures("without_roles")
async def test_only_what_is_new_is_applied(empty_database: Database) -> None:
    said: list[str] = []
    await upgrade(empty_database.dsn, nobody, [ONE], create=True)
    pending = (await status(empty_database.dsn, [ONE, TWO])).problem
    await upgrade(empty_database.dsn, said.append, [ONE, TWO])

    assert pending == "pending: 0002 two: run `pbxapi db upgrade`"
    assert said == ["applied 0002 two"]
    assert await tables(empty_database) == {"one", "two", "schema_migrations"}


@pytest.mark.usefixtures("without_roles")
async def test_a_migration_that_fails_leaves_nothing_and_those_before_it_stay(
    empty_database: Database,
) -> None:
    with pytest.raises(UsageError, match="nonsense"):
        await upgrade(empty_database.dsn, nobody, [ONE, BROKEN], create=True)

    assert await tables(empty_database) == {"one", "schema_migrations"}
    assert (await upgrade(empty_database.dsn, nobody, [ONE, TWO])).problem is None


@pytest.mark.usefixtures("without_roles")
async def test_the_first_migration_that_fails_leaves_no_schema(empty_database: Database) -> None:
    with pytest.raises(UsageError):
        await upgrade(empty_database.dsn, nobody, [BROKEN], create=True)

    assert not (await status(empty_database.dsn, [BROKEN])).exists


@pytest.mark.usefixtures("without_roles")
async def test_a_changed_file_is_an_error(empty_database: Database) -> None:
    await upgrade(empty_database.dsn, nobody, [ONE, TWO], create=True)
    changed = [replace(ONE, sql="CREATE TABLE pbxapi.one (id bigint)"), TWO]

    found = await status(empty_database.dsn, changed)
    assert found.problem == "changed since it was applied: 0001 one"
    with pytest.raises(UsageError, match="0001 one"):
        await upgrade(empty_database.dsn, nobody, changed)


@pytest.mark.usefixtures("without_roles")
async def test_a_newer_database_is_an_error(empty_database: Database) -> None:
    await upgrade(empty_database.dsn, nobody, [ONE, TWO], create=True)

    assert (await status(empty_database.dsn, [ONE])).unknown == ("0002 two",)
    with pytest.raises(UsageError, match="newer than this program: 0002 two"):
        await upgrade(empty_database.dsn, nobody, [ONE])


async def test_a_schema_of_somebody_else_is_left_alone(empty_database: Database) -> None:
    await empty_database.execute("CREATE SCHEMA pbxapi; CREATE VIEW pbxapi.sip AS SELECT 1 AS id")

    found = await status(empty_database.dsn)
    assert found.problem is not None
    for create in (True, False):
        with pytest.raises(UsageError, match=re.escape(found.problem)):
            await upgrade(empty_database.dsn, nobody, create=create)
    assert await tables(empty_database) == set()


@pytest.mark.usefixtures("without_roles")
async def test_two_at_once_apply_each_migration_once(empty_database: Database) -> None:
    said: list[str] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(upgrade(empty_database.dsn, said.append, [ONE, TWO], create=True))

    assert sorted(said) == ["applied 0001 one", "applied 0002 two"]


async def test_the_second_waits_for_the_first(empty_database: Database) -> None:
    holder = await asyncpg.connect(empty_database.dsn)
    try:
        await holder.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        task = asyncio.create_task(upgrade(empty_database.dsn, nobody, create=True))
        await eventually(
            lambda: empty_database.fetch("SELECT 1 FROM pg_locks WHERE NOT granted"),
            within_s=5,
            what="the migration waits",
        )
        assert not (await status(empty_database.dsn)).exists
    finally:
        await holder.close()
    assert (await task).problem is None


@pytest.mark.usefixtures("without_roles")
async def test_a_table_in_use_is_not_waited_for_long(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "TABLE_WAIT", "100ms")
    await upgrade(empty_database.dsn, nobody, [ONE], create=True)
    alter = replace(TWO, sql="ALTER TABLE pbxapi.one ADD COLUMN more int")
    writer = await asyncpg.connect(empty_database.dsn)
    try:
        async with writer.transaction():
            await writer.execute("INSERT INTO pbxapi.one VALUES (1)")
            with pytest.raises(UsageError, match="lock timeout"):
                await upgrade(empty_database.dsn, nobody, [ONE, alter])
    finally:
        await writer.close()


async def test_a_server_that_is_not_there_is_one_line(ports: Ports) -> None:
    dsn = f"postgresql://postgres@{LOOPBACK}:{ports.tcp()}/pbxapi"
    with pytest.raises(UsageError, match=r"^database: [^\n]+$"):
        await status(dsn)


async def test_a_server_that_is_silent_is_not_waited_for_long(
    database: Database, tcp_proxy: MakeProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = await tcp_proxy(database.server.port)
    proxy.stall()
    monkeypatch.setattr(migrations, "CONNECT_TIMEOUT_S", 0.2)
    with pytest.raises(UsageError, match="did not answer"):
        await status(database.dsn.replace(f":{database.server.port}/", f":{proxy.port}/"))


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://user:pass@localhost:hunter2/y",
        "postgresql://user:hunter2@127.0.0.1:99999/y",
        "mysql://root:hunter2@localhost/x",
    ],
)
async def test_a_dsn_that_cannot_be_read_is_not_quoted(dsn: str) -> None:
    with pytest.raises(UsageError) as caught:
        await status(dsn)
    assert "hunter2" not in str(caught.value)


@pytest.mark.usefixtures("postgres_template")  # made the roles
async def test_who_may_not_create_roles_is_told_so_and_the_schema_is_there(
    empty_database: Database,
) -> None:
    """Roles belong to the server: the shared one has them, so they are renamed for a moment."""
    await empty_database.execute(
        "CREATE ROLE owner_without_rights LOGIN PASSWORD 'x';"
        "ALTER ROLE pbxapi_daemon RENAME TO hidden_daemon;"
        "ALTER ROLE pbxapi_cdr_writer RENAME TO hidden_writer"
    )
    (name,) = await empty_database.fetch("SELECT current_database() AS it")
    await empty_database.execute(f"GRANT CREATE ON DATABASE {name['it']} TO owner_without_rights")
    said: list[str] = []
    dsn = empty_database.dsn.replace("postgres:not-secret", "owner_without_rights:x")
    try:
        after = await upgrade(dsn, said.append, create=True)
    finally:
        await empty_database.execute(
            "ALTER ROLE hidden_daemon RENAME TO pbxapi_daemon;"
            "ALTER ROLE hidden_writer RENAME TO pbxapi_cdr_writer;"
            "DROP OWNED BY owner_without_rights; DROP ROLE owner_without_rights"
        )

    assert after.problem is None
    assert after.missing_roles == ("pbxapi_daemon", "pbxapi_cdr_writer")
    notices = [line for line in said if line.startswith("notice: ")]
    assert len(notices) == 2
    assert "CREATE ROLE pbxapi_daemon NOLOGIN" in notices[0]
