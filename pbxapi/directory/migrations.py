"""The numbered migrations of `pbxapi.sql`: which there are, which are applied, applying the rest.

Each runs in one transaction together with its line in `pbxapi.schema_migrations`, under an
advisory lock: two operators at once do it once. `roles.sql` is no migration; it is applied after
them every time, since roles belong to the server and not to the database.

A schema whose relations were made by somebody else (views of a PBX's own tables) has no
`schema_migrations`, and is left alone.
"""

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

import asyncpg

from pbxapi.errors import UsageError

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]

#: Key of the advisory lock: "pbxapi" in ASCII.
LOCK_KEY: Final = int.from_bytes(b"pbxapi")
CONNECT_TIMEOUT_S: Final = 10.0
#: An operator waits for another one's migrations, but never holds up calls: a statement that finds
#: a table in use gives up, and with it the migration.
LOCK_WAIT: Final = "60s"
TABLE_WAIT: Final = "5s"
ROLES: Final = ("pbxapi_daemon", "pbxapi_cdr_writer")

_FILE_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_DRIVER_ERRORS: Final = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

_JOURNAL: Final = """
CREATE TABLE IF NOT EXISTS pbxapi.schema_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""

_FACTS: Final = """
SELECT to_regnamespace('pbxapi') IS NOT NULL AS exists,
       to_regclass('pbxapi.schema_migrations') IS NOT NULL AS managed,
       EXISTS (
           SELECT FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = 'pbxapi'
       ) AS filled,
       ARRAY(
           SELECT name FROM unnest($1::text[]) AS name
           WHERE name NOT IN (SELECT rolname FROM pg_catalog.pg_roles)
       ) AS missing_roles
"""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file of `sql/`."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.version:04} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a database compares with the migrations of this version of the program.

    Attributes:
        exists: Whether there is a schema `pbxapi` at all.
        foreign: Whether somebody else made its relations: then nothing is to be done there.
        applied: Lines such as "0001 schema", oldest first.
        pending: Migrations that are still to be applied.
        changed: Applied ones whose file is no longer what was applied.
        unknown: Applied ones that this version does not have: the database is newer.
        missing_roles: Group roles that the server lacks.
    """

    exists: bool
    foreign: bool
    applied: tuple[str, ...]
    pending: tuple[Migration, ...]
    changed: tuple[str, ...]
    unknown: tuple[str, ...]
    missing_roles: tuple[str, ...]

    @property
    def problem(self) -> str | None:
        """What is wrong with it, in one line; None where nothing is."""
        if self.changed:
            return f"changed since it was applied: {', '.join(self.changed)}"
        if self.unknown:
            return f"the database is newer than this program: {', '.join(self.unknown)}"
        if not self.exists:
            return "there is no schema pbxapi: run `pbxapi db init`"
        if self.foreign:
            return "schema pbxapi was not made by `pbxapi db init` and is left alone"
        if self.pending:
            return f"pending: {', '.join(map(str, self.pending))}: run `pbxapi db upgrade`"
        return None


def load_migrations() -> tuple[Migration, ...]:
    """The packaged migrations in their order."""
    found = []
    for file in resources.files("pbxapi.sql").iterdir():
        if match := _FILE_NAME.fullmatch(file.name):
            sql = file.read_text(encoding="utf-8").replace("\r\n", "\n")
            found.append(Migration(version=int(match[1]), name=match[2], sql=sql))
    return tuple(sorted(found, key=lambda migration: migration.version))


async def _packaged() -> tuple[Migration, ...]:
    return await asyncio.to_thread(load_migrations)


async def status(dsn: str, migrations: Sequence[Migration] | None = None) -> Status:
    """Compare the database with the migrations.

    Raises:
        UsageError: the database cannot be asked.
    """
    migrations = await _packaged() if migrations is None else migrations
    async with _connected(dsn, _ignore) as connection:
        return await _status(connection, migrations)


async def upgrade(
    dsn: str, say: Say, migrations: Sequence[Migration] | None = None, *, create: bool = False
) -> Status:
    """Apply what is pending, then the roles.

    Args:
        dsn: A role that owns the schema, or may create it.
        say: Told of every step, and of the server's notices.
        migrations: Instead of the packaged ones.
        create: Whether a missing schema is made.

    Raises:
        UsageError: it cannot be done; what is not applied yet is unchanged.
    """
    migrations = await _packaged() if migrations is None else migrations
    async with _connected(dsn, say) as connection:
        before = await _status(connection, migrations)
        if not before.exists and not create:
            raise UsageError("there is no schema pbxapi: run `pbxapi db init`")
        _refuse_unfit(before)
        for migration in before.pending:
            await _apply(connection, migration, migrations, say)
        async with connection.transaction():
            await _lock(connection)
            await connection.execute(await asyncio.to_thread(_read, "roles.sql"))
        return await _status(connection, migrations)


async def _lock(connection: "_Connection") -> None:
    """Be the only one who changes the schema, until the transaction ends."""
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK_KEY)
    await connection.execute(f"SET LOCAL lock_timeout = '{TABLE_WAIT}'")


async def _apply(
    connection: "_Connection", migration: Migration, migrations: Sequence[Migration], say: Say
) -> None:
    """Apply one migration, unless somebody else has meanwhile."""
    async with connection.transaction():
        await _lock(connection)
        now = await _status(connection, migrations)
        _refuse_unfit(now)
        if migration not in now.pending:
            return
        if not now.exists:
            await connection.execute("CREATE SCHEMA pbxapi")
        if not now.applied:
            await connection.execute(_JOURNAL)
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO pbxapi.schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
            migration.version,
            migration.name,
            migration.checksum,
        )
    say(f"applied {migration}")


def _refuse_unfit(found: Status) -> None:
    if found.changed or found.unknown or found.foreign:
        raise UsageError(found.problem or "")


async def _status(connection: "_Connection", migrations: Sequence[Migration]) -> Status:
    facts = await connection.fetchrow(_FACTS, list(ROLES))
    assert facts is not None  # noqa: S101 - a SELECT without FROM has one row
    applied: dict[int, asyncpg.Record] = {}
    if facts["managed"]:
        rows = await connection.fetch(
            "SELECT version, name, checksum FROM pbxapi.schema_migrations ORDER BY version"
        )
        applied = {row["version"]: row for row in rows}
    known = {migration.version: migration for migration in migrations}
    lines = {version: f"{version:04} {row['name']}" for version, row in applied.items()}
    return Status(
        exists=facts["exists"],
        foreign=facts["filled"] and not facts["managed"],
        applied=tuple(lines.values()),
        pending=tuple(m for m in migrations if m.version not in applied),
        changed=tuple(
            line
            for version, line in lines.items()
            if version in known and known[version].checksum != applied[version]["checksum"]
        ),
        unknown=tuple(line for version, line in lines.items() if version not in known),
        missing_roles=tuple(facts["missing_roles"]),
    )


@contextlib.asynccontextmanager
async def _connected(dsn: str, say: Say) -> AsyncIterator["_Connection"]:
    """One connection; whatever the database says no with becomes a UsageError of one line."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connection = await asyncpg.connect(
                dsn, server_settings={"application_name": "pbxapi db"}
            )
    except TimeoutError:
        raise UsageError(f"the database did not answer within {CONNECT_TIMEOUT_S:.0f} s") from None
    except (ValueError, OverflowError):  # the latter of a port that is none
        # The driver's words may quote the password of the DSN.
        raise UsageError("database.dsn cannot be understood") from None
    except _DRIVER_ERRORS as error:
        raise UsageError(f"database: {_one_line(error)}") from error
    connection.add_log_listener(lambda _connection, message: say(f"notice: {message.message}"))
    try:
        yield connection
    except _DRIVER_ERRORS as error:
        raise UsageError(f"database: {_one_line(error)}") from error
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


def _read(name: str) -> str:
    return resources.files("pbxapi.sql").joinpath(name).read_text(encoding="utf-8")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _ignore(_line: str) -> None:
    """Nobody to tell."""
