"""`pbxapi db`."""

import argparse

import pytest

from pbxapi.commands import db
from pbxapi.directory import migrations
from pbxapi.directory.migrations import load_migrations
from pbxapi.errors import UsageError
from tests.services.postgres import Database

PACKAGED = load_migrations()
LATEST = str(PACKAGED[-1])


def parse(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    db.add_arguments(parser)
    return parser.parse_args(argv)


async def run(database: Database, task: str) -> int:
    return await db.run(parse(task), {"PBXAPI_DATABASE_DSN": database.dsn})


async def test_init_upgrade_and_status_of_a_new_database(
    empty_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="pbxapi db init"):
        await run(empty_database, "status")
    assert capsys.readouterr().out == "".join(f"pending  {migration}\n" for migration in PACKAGED)
    with pytest.raises(UsageError, match="pbxapi db init"):
        await run(empty_database, "upgrade")
    assert await run(empty_database, "init") == 0
    assert capsys.readouterr().out.endswith(f"applied {LATEST}\nthe schema is at {LATEST}\n")
    assert await run(empty_database, "init") == 0
    assert capsys.readouterr().out.splitlines() == [
        "the schema exists already: upgrading",
        "nothing to apply",
        f"the schema is at {LATEST}",
    ]
    assert await run(empty_database, "upgrade") == 0
    capsys.readouterr()
    assert await run(empty_database, "status") == 0
    assert capsys.readouterr().out == "".join(f"ok       {migration}\n" for migration in PACKAGED)


async def test_status_names_what_was_changed_and_what_is_newer(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    await database.execute(
        "UPDATE pbxapi.schema_migrations SET checksum = 'x' WHERE version = 1;"
        "INSERT INTO pbxapi.schema_migrations (version, name, checksum) VALUES (9999, 'z', 'x')"
    )
    with pytest.raises(UsageError, match="changed since it was applied"):
        await run(database, "status")
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].startswith("changed  0001 ")
    assert lines[-1] == "unknown  9999 z"


async def test_status_names_the_roles_that_the_server_lacks(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "ROLES", ("pbxapi_daemon", "pbxapi_unheard_of"))
    assert await run(database, "status") == 0

    (line,) = [line for line in capsys.readouterr().out.splitlines() if "missing" in line]
    assert line.startswith("missing  role pbxapi_unheard_of: run `pbxapi db upgrade`")


async def test_a_schema_of_views_is_left_alone(empty_database: Database) -> None:
    await empty_database.execute("CREATE SCHEMA pbxapi; CREATE VIEW pbxapi.sip AS SELECT 1 AS id")
    for task in ("status", "init", "upgrade"):
        with pytest.raises(UsageError, match="left alone"):
            await run(empty_database, task)


@pytest.mark.parametrize("argv", [[], ["downgrade"], ["init", "more"]])
def test_bad_usage_is_exit_code_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*argv)
    assert caught.value.code == 2
