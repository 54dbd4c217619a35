"""The statements and their file."""

from pathlib import Path

import asyncpg
import pytest

import pbxapi
from pbxapi.directory.queries import QUERIES, parse
from tests.services.postgres import Database

SOURCES = tuple(Path(pbxapi.__file__).parent.rglob("*.py"))


def test_a_statement_is_found_by_its_name_without_comments_and_semicolon() -> None:
    text = "-- head\n-- name: one\n-- what it does\nSELECT 1\nFROM x;\n\n-- name: two\nSELECT 2;\n"

    assert parse(text) == {"one": "SELECT 1\nFROM x", "two": "SELECT 2"}


@pytest.mark.parametrize(
    "text", ["-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n", "-- name: one\n-- nothing\n"]
)
def test_a_name_twice_and_a_name_without_statement_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="one"):
        parse(text)


def test_every_statement_is_used_somewhere() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)

    assert [name for name in QUERIES if f'"{name}"' not in code] == []


async def test_every_statement_is_valid_in_the_schema(database: Database) -> None:
    connection = await asyncpg.connect(database.dsn)
    try:
        for statement in QUERIES.values():
            await connection.prepare(statement)
    finally:
        await connection.close()
