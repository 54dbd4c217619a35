"""Look-ups of lines, dial plans and routes."""

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from pbxapi.directory.account import Account
from pbxapi.directory.lines import MAX_ID, Line, Lines, Outroute, as_id, is_text
from pbxapi.directory.pool import Directory
from tests.directory.rows import add_lines
from tests.services.postgres import Database

OFFICE_100 = Line(
    id=10,
    dialplan_id=1,
    dialplan_name="office",
    internal_num="100",
    public_num="299299000",
    name="Žofie",
    outroute_id=5,
    recording=True,
    accounts=(
        Account(id=21, sip_username="Linka_100", technology="SIP"),
        Account(id=22, sip_username="Linka_100b", technology="PJSIP"),
    ),
)


@pytest.fixture
async def lines(database: Database) -> AsyncIterator[Lines]:
    await add_lines(database)
    async with Directory(database.dsn) as directory:
        yield Lines(directory)


class Nobody:
    """Fails the test if it is asked."""

    async def fetch(self, name: str, /, *args: object) -> list[dict[str, object]]:
        raise AssertionError(f"{name} was asked with {args}")


async def test_a_line_comes_with_all_its_accounts_in_the_order_of_their_ids(lines: Lines) -> None:
    assert await lines.by_public_num("299299000") == (OFFICE_100,)


async def test_the_same_number_in_two_dial_plans_gives_two_lines(lines: Lines) -> None:
    assert [line.id for line in await lines.by_internal_num("100")] == [10, 11]


async def test_a_dial_plan_narrows_the_internal_number(lines: Lines) -> None:
    assert await lines.by_internal_num("100", 1) == (OFFICE_100,)
    assert [line.dialplan_name for line in await lines.by_internal_num("100", 2)] == ["factory"]
    assert await lines.by_internal_num("100", 3) == ()


async def test_a_line_without_accounts_is_found(lines: Lines) -> None:
    (line,) = await lines.by_id("12")

    assert (line.internal_num, line.accounts) == ("101", ())


@pytest.mark.parametrize("identifier", ["10", "0010", 10])
async def test_a_line_is_found_by_its_id(lines: Lines, identifier: str | int) -> None:
    assert await lines.by_id(identifier) == (OFFICE_100,)


async def test_an_account_finds_its_whole_line(lines: Lines) -> None:
    assert await lines.by_sip_username("Linka_100b") == (OFFICE_100,)


async def test_names_are_told_apart_by_case(lines: Lines) -> None:
    assert await lines.by_sip_username("linka_100") == ()
    assert await lines.dialplan_id("Office") is None


async def test_a_dial_plan_is_found_by_its_name(lines: Lines) -> None:
    assert await lines.dialplan_id("factory") == 2
    assert await lines.dialplan_id("nowhere") is None


async def test_an_outroute_is_found_by_name_and_by_id(lines: Lines) -> None:
    odchozi = Outroute(id=5, name="Odchozí")

    assert await lines.outroute_by_name("Odchozí") == odchozi
    assert await lines.outroute_by_id("5") == odchozi
    assert await lines.outroute_by_name("x") is None
    assert await lines.outroute_by_id("6") is None


@pytest.mark.parametrize("number", ["'; DROP TABLE pbxapi.sip; --", "%", "", "1" * 5000, "٣"])
async def test_numbers_that_nobody_has_find_nothing(lines: Lines, number: str) -> None:
    assert await lines.by_public_num(number) == ()
    assert await lines.by_internal_num(number) == ()
    assert await lines.by_sip_username(number) == ()


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
async def test_what_no_column_can_hold_finds_nothing_and_asks_nobody(text: str) -> None:
    lines = Lines(Nobody())

    assert await lines.by_public_num(text) == ()
    assert await lines.by_internal_num(text) == ()
    assert await lines.by_sip_username(text) == ()
    assert await lines.by_id(text) == ()
    assert await lines.dialplan_id(text) is None
    assert await lines.outroute_by_name(text) is None
    assert await lines.outroute_by_id(text) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0),
        ("007", 7),
        (str(MAX_ID), MAX_ID),
        (str(MAX_ID + 1), None),
        ("9" * 5000, None),
        ("0" * 5000 + "7", 7),
        ("-1", None),
        (-1, None),
        ("+1", None),
        (" 1", None),
        ("1\n", None),
        ("1_0", None),
        ("1e3", None),
        ("٣", None),
        ("", None),
    ],
)
def test_only_what_can_be_a_bigint_is_an_id(value: str | int, expected: int | None) -> None:
    assert as_id(value) == expected


def test_text_is_what_utf_8_and_postgresql_can_hold() -> None:
    assert is_text("Žofie 😀 \x01")
    assert not is_text("\0")
    assert not is_text("\udfff")


async def test_views_over_foreign_tables_serve_as_well(empty_database: Database) -> None:
    """Other integer and text types, nulls, no constraints, and accounts that would be syntax."""
    await empty_database.execute(
        """
        CREATE SCHEMA pbxapi;
        CREATE TYPE tech AS ENUM ('SIP', 'pjsip', 'IAX2');
        CREATE VIEW pbxapi.dialplans AS SELECT 1::smallint AS id, 'a'::varchar(9) AS name;
        CREATE VIEW pbxapi.extensions AS SELECT 7::int AS id, 1::smallint AS dialplan_id,
            '100'::varchar(20) AS internal_num, '5'::varchar(20) AS public_num,
            NULL::varchar AS name, NULL::int AS outroute_id, NULL::boolean AS recording;
        CREATE VIEW pbxapi.extension_line AS
            SELECT * FROM (VALUES (1, 7, 'ok'::varchar, 'pjsip'::tech),
                (2, 7, 'a&SIP/b', 'SIP'), (3, 7, 'x@y', 'SIP'), (4, 7, NULL, 'SIP'),
                (5, 7, 'other', 'IAX2'), (6, 7, E'a\nb', 'SIP'), (7, 7, 'none', NULL)
            ) AS rows (id, extension_id, sip_username, technology);
        """
    )
    async with Directory(empty_database.dsn) as directory:
        with capture_logs() as logs:
            (line,) = await Lines(directory).by_public_num("5")

    assert line == Line(
        id=7,
        dialplan_id=1,
        dialplan_name="a",
        internal_num="100",
        public_num="5",
        name="",
        outroute_id=None,
        recording=False,
        accounts=(Account(id=1, sip_username="ok", technology="PJSIP"),),
    )
    assert [entry["extension_line_id"] for entry in logs] == [2, 3, 4, 5, 6, 7]
