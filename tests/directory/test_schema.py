"""The schema: what it refuses, what it never refuses, and who may do what."""

import asyncpg
import pytest

from tests.directory.rows import add_lines, add_user
from tests.services.postgres import Database

#: Contract, section 5.
COLUMNS = {
    "dialplans": "id name",
    "outroute": "id name",
    "extensions": "id dialplan_id internal_num public_num name outroute_id recording",
    "extension_line": "id extension_id sip_username technology",
    "sip": "id name technology",
    "queues": "id name",
    "agents": "id number name full_name pin_hash",
    "agent_queues": "agent_id queue_id penalty",
    "agent_logins": "agent_id extension_line_id logged_in_at paused",
    "api_users": "id username password_hash permissions enabled networks",
    "cdr": "id start answer end clid src dst dcontext channel dstchannel lastapp lastdata duration"
    " billsec disposition amaflags accountcode uniqueid linkedid userfield sequence peeraccount"
    " customcdr1 customcdr2 customcdr3 customcdr4 recordingfile "
    + " ".join(f"customcdr{n}_{part}" for n in range(1, 5) for part in range(2, 6)),
    "record_moves": "id cdr_id source_path target_path state started_at"
    " size mtime_ns part checksum",
    "schema_migrations": "version name checksum applied_at",
}

UNIQUE = {
    "dialplans": {"id", "name"},
    "outroute": {"id", "name"},
    "extensions": {"id", "public_num", "dialplan_id,internal_num"},
    "extension_line": {"id", "sip_username"},
    "sip": {"id", "name"},
    "queues": {"id", "name"},
    "agents": {"id", "number", "name"},
    "agent_queues": {"agent_id,queue_id"},
    "agent_logins": {"agent_id"},
    "api_users": {"id", "username"},
    "cdr": {"id"},
    "record_moves": {"id"},
    "schema_migrations": {"version"},
}

AS_DAEMON = "SET ROLE pbxapi_daemon"
AS_CDR_WRITER = "SET ROLE pbxapi_cdr_writer"


async def as_role(database: Database, role: str, sql: str) -> None:
    connection = await asyncpg.connect(database.dsn)
    try:
        await connection.execute(role)
        await connection.execute(sql)
    finally:
        await connection.close()


async def test_relations_and_columns_are_those_of_the_contract(database: Database) -> None:
    rows = await database.fetch(
        "SELECT table_name, string_agg(column_name, ' ' ORDER BY ordinal_position) AS columns"
        " FROM information_schema.columns WHERE table_schema = 'pbxapi' GROUP BY table_name"
    )

    assert {row["table_name"]: row["columns"] for row in rows} == COLUMNS


async def test_what_is_unique_is_that_of_the_contract(database: Database) -> None:
    rows = await database.fetch(
        "SELECT c.conrelid::regclass::text AS relation, array_to_string(ARRAY("
        "  SELECT a.attname FROM unnest(c.conkey) WITH ORDINALITY AS k (num, place)"
        "  JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num ORDER BY place"
        " ), ',') AS columns FROM pg_constraint c"
        " WHERE c.contype IN ('p', 'u') AND c.connamespace = 'pbxapi'::regnamespace"
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["relation"].removeprefix("pbxapi."), set()).add(row["columns"])

    assert found == UNIQUE


NAMES = ("a&SIP/b", "a/b", "a@b", "a,b", "a b", "a\nb", "a'b", "", "ž", "a" * 80, "${X}", "a;b")


@pytest.mark.parametrize("name", NAMES)
async def test_an_account_or_trunk_name_cannot_be_syntax(database: Database, name: str) -> None:
    await add_lines(database)
    for sql in (
        "UPDATE pbxapi.extension_line SET sip_username = $1 WHERE id = 21",
        "UPDATE pbxapi.sip SET name = $1 WHERE id = 1",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await database.execute(sql, name)


@pytest.mark.parametrize("number", ["", "10 0", "100,1", "100\n", "${EXTEN}", "_X.", "9" * 80, "a"])
async def test_a_number_has_digits_and_the_keys_beside_them(
    database: Database, number: str
) -> None:
    await add_lines(database)
    for column in ("internal_num", "public_num"):
        with pytest.raises(asyncpg.CheckViolationError):
            await database.execute(
                f"UPDATE pbxapi.extensions SET {column} = $1 WHERE id=10", number
            )


@pytest.mark.parametrize("name", ["a\nb", "a,b", "a|b", "Local/1", "", "a\x7f"])
async def test_a_queue_or_agent_name_cannot_be_syntax(database: Database, name: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute("INSERT INTO pbxapi.queues (name) VALUES ($1)", name)
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute(
            "INSERT INTO pbxapi.agents (number, name, pin_hash) VALUES ('1', $1, '$argon2id$')",
            name,
        )


async def test_names_as_people_write_them_are_welcome(database: Database) -> None:
    await database.execute("INSERT INTO pbxapi.queues (name) VALUES ('FrontaABC'), ('Obchod - ČR')")
    await database.execute(
        "INSERT INTO pbxapi.agents (number, name, full_name, pin_hash)"
        " VALUES ('1000', 'Jana Nováková', 'Ing. Jana Nováková, CSc.', '$argon2id$x')"
    )


async def test_secrets_are_hashes_and_permissions_are_known(database: Database) -> None:
    insert = "INSERT INTO pbxapi.api_users (username, password_hash, permissions) VALUES ($1,$2,$3)"
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute(insert, "a", "secretpwd", [])
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute(insert, "a", "$argon2id$x", ["listcals"])


async def test_a_call_record_of_any_length_is_accepted(database: Database) -> None:
    """What Asterisk writes, at lengths where a btree index or a varchar would refuse."""
    texts = [
        c
        for c in COLUMNS["cdr"].split()
        if c not in {"id", "start", "answer", "end", "duration", "billsec", "amaflags", "sequence"}
    ]
    names = ", ".join(texts)
    values = ", ".join(f"'{'ž' * 5000}'" for _ in texts)
    await as_role(
        database,
        AS_CDR_WRITER,
        f'INSERT INTO pbxapi.cdr (start, answer, "end", duration, billsec, amaflags, sequence,'
        f" {names}) VALUES ('2026-01-02 03:04:05', NULL, '2026-01-02 03:04:06.123456', 1, 0, 3,"
        f" 4294967295, {values})",
    )
    (row,) = await database.fetch("SELECT id, length(customcdr4) AS n FROM pbxapi.cdr")

    assert (row["id"], row["n"]) == (1, 5 * 5000), "the field and its four further parts"


READ = (
    "SELECT * FROM pbxapi.api_users, pbxapi.extensions, pbxapi.extension_line, pbxapi.sip,"
    " pbxapi.outroute, pbxapi.dialplans, pbxapi.queues, pbxapi.agents, pbxapi.agent_queues,"
    " pbxapi.agent_logins, pbxapi.cdr, pbxapi.record_moves, pbxapi.schema_migrations"
)
WRITE_JOURNAL = (
    "INSERT INTO pbxapi.record_moves (cdr_id, source_path, target_path) VALUES (1, 'a', 'b')"
)


@pytest.mark.parametrize(
    "sql",
    [
        READ,
        WRITE_JOURNAL,
        "DELETE FROM pbxapi.agent_logins",
        "UPDATE pbxapi.agent_queues SET penalty = 1",
        "UPDATE pbxapi.cdr SET recordingfile = ''",
    ],
)
async def test_the_daemon_may_do_what_it_needs(database: Database, sql: str) -> None:
    await as_role(database, AS_DAEMON, sql)


@pytest.mark.parametrize(
    ("role", "sql"),
    [
        (AS_DAEMON, "UPDATE pbxapi.api_users SET enabled = true"),
        (AS_DAEMON, "INSERT INTO pbxapi.dialplans (name) VALUES ('x')"),
        (AS_DAEMON, "UPDATE pbxapi.cdr SET src = ''"),
        (AS_DAEMON, "DELETE FROM pbxapi.cdr"),
        (AS_DAEMON, "CREATE TABLE pbxapi.x (id int)"),
        (AS_CDR_WRITER, "SELECT FROM pbxapi.cdr"),
        (AS_CDR_WRITER, "UPDATE pbxapi.cdr SET src = ''"),
        (AS_CDR_WRITER, "SELECT FROM pbxapi.api_users"),
    ],
)
async def test_and_no_role_may_do_more(database: Database, role: str, sql: str) -> None:
    await add_user(database)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_role(database, role, sql)


async def test_the_roles_cannot_log_in(database: Database) -> None:
    rows = await database.fetch("SELECT rolcanlogin FROM pg_roles WHERE rolname LIKE 'pbxapi\\_%'")

    assert [row["rolcanlogin"] for row in rows] == [False, False]


async def test_parts_of_a_custom_field_become_one_value(database: Database) -> None:
    """cdr_pgsql writes 256 bytes of a value; what is longer comes in parts."""
    await database.execute(
        "INSERT INTO pbxapi.cdr (customcdr1, customcdr2, customcdr2_2, customcdr2_3, customcdr3_2)"
        " VALUES ('a', 'b', 'č', 'd', 'lost')"
    )
    (row,) = await database.fetch("SELECT * FROM pbxapi.cdr")
    assert [row[f"customcdr{n}"] for n in range(1, 5)] == ["a", "bčd", None, None]
    assert not any(value for name, value in row.items() if "_" in name)
