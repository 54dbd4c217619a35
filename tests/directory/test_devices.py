"""Whose channel it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from pbxapi.directory.devices import Device, DeviceIndex
from pbxapi.directory.pool import Directory
from pbxapi.errors import DatabaseUnavailable
from tests.directory.rows import add_lines
from tests.services.postgres import Database
from tests.services.waiting import eventually

Row = dict[str, object]


class Rows:
    """A directory with these devices, which can be taken away."""

    def __init__(self, *rows: Row) -> None:
        self.rows = list(rows)
        self.down = False
        self.loads = 0

    async def fetch(self, _name: str, /, *_args: object) -> list[Row]:
        self.loads += 1
        if self.down:
            raise DatabaseUnavailable("stopped")
        return self.rows


def row(
    kind: str, identifier: int, name: str, number: str = "", technology: str | None = "SIP"
) -> Row:
    return {
        "kind": kind,
        "id": identifier,
        "name": name,
        "number": number,
        "technology": technology,
    }


@asynccontextmanager
async def following(index: DeviceIndex) -> AsyncIterator[None]:
    task = asyncio.create_task(index.follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_accounts_and_trunks_are_known_by_the_name_in_their_channels(
    database: Database,
) -> None:
    await add_lines(database)
    async with Directory(database.dsn) as directory:
        index = DeviceIndex(directory)
        await index.refresh()

    assert index.lookup("Linka_100") == Device("extension", 21, "100", "Linka_100", "SIP")
    assert index.lookup("upc") == Device("trunk", 1, "", "upc", "SIP")
    assert index.lookup("linka_100") is None


@pytest.mark.parametrize("order", [1, -1])
async def test_a_line_comes_before_a_trunk_of_the_same_name(order: int) -> None:
    rows = [row("trunk", 1, "both"), row("extension", 2, "both", "100")][::order]
    index = DeviceIndex(Rows(*rows))
    await index.refresh()

    assert index.lookup("both") == Device("extension", 2, "100", "both", "SIP")


async def test_everybody_is_told_lines_and_trunks_by_id_with_their_technology() -> None:
    index = DeviceIndex(
        Rows(
            row("trunk", 9, "upc", technology="PJSIP"),
            row("extension", 12, "b", "101"),
            row("trunk", 3, "both"),
            row("extension", 2, "both", "100", technology="pjsip"),
            row("extension", 5, "isdn", "102", technology="DAHDI"),
            row("extension", 6, "none", "103", technology=None),
        )
    )
    await index.refresh()

    accounts, trunks = index.everybody()
    assert [(d.id, d.name, d.technology) for d in accounts] == [
        (2, "both", "PJSIP"),
        (12, "b", "SIP"),
    ]
    assert [(d.id, d.name, d.technology) for d in trunks] == [
        (3, "both", "SIP"),
        (9, "upc", "PJSIP"),
    ]
    assert index.lookup("isdn") is None


async def test_everybody_cannot_be_told_before_the_first_load() -> None:
    index = DeviceIndex(Rows(row("trunk", 1, "upc")))

    with pytest.raises(DatabaseUnavailable):
        index.everybody()


async def test_nobody_is_known_before_the_first_load() -> None:
    index = DeviceIndex(Rows(row("trunk", 1, "upc")))

    assert (index.loaded, index.lookup("upc")) == (False, None)
    await index.refresh()
    assert index.loaded


async def test_following_sees_what_comes_and_goes() -> None:
    rows = Rows(row("trunk", 1, "upc"))
    index = DeviceIndex(rows, period_s=0.05, min_period_s=0.01)
    async with following(index):
        await eventually(lambda: index.lookup("upc"), within_s=2, what="the trunk is known")
        rows.rows = [row("trunk", 2, "o2")]
        await eventually(lambda: index.lookup("o2"), within_s=2, what="the new trunk is known")

    assert index.lookup("upc") is None


async def test_the_last_picture_stays_while_the_database_is_down_and_the_log_says_so_once() -> None:
    rows = Rows(row("trunk", 1, "upc"))
    index = DeviceIndex(rows, period_s=0.02, min_period_s=0.01)
    with capture_logs() as logs:
        async with following(index):
            await eventually(lambda: index.loaded, within_s=2, what="loaded")
            rows.down, rows.loads = True, 0
            await eventually(lambda: rows.loads >= 3, within_s=2, what="tried three times")
            known = index.lookup("upc")
            rows.down, rows.loads = False, 0
            await eventually(lambda: rows.loads >= 2, within_s=2, what="loaded again")

    assert known == Device("trunk", 1, "", "upc", "SIP")
    told = [(entry["event"], entry["log_level"]) for entry in logs if entry["log_level"] != "debug"]
    assert told == [("devices.not_refreshed", "warning"), ("devices.refreshed", "info")]


async def test_asking_loads_soon() -> None:
    rows = Rows()
    index = DeviceIndex(rows, period_s=3600, min_period_s=0.01)
    async with following(index):
        await eventually(lambda: rows.loads == 1, within_s=2, what="loaded once")
        rows.rows = [row("trunk", 1, "upc")]
        index.ask()
        await eventually(lambda: index.lookup("upc"), within_s=2, what="the trunk is known")


async def test_asking_often_loads_no_more_than_once_in_the_least_period() -> None:
    rows = Rows()
    index = DeviceIndex(rows, period_s=3600, min_period_s=0.2)
    loop = asyncio.get_running_loop()
    async with following(index):
        started = loop.time()
        while rows.loads < 3:
            index.ask()
            await asyncio.sleep(0.001)

    assert loop.time() - started >= 2 * 0.2 - 0.01
