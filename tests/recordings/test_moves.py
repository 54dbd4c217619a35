"""Moving a recording: real PostgreSQL, real file systems, one and two of them."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from pbxapi.directory.pool import Directory
from tests.recordings.world import (
    MTIME_NS,
    OWNER,
    Disk,
    add_record,
    checksum,
    make_moves,
    move,
    other_file_system,
)
from tests.services.postgres import Database


@pytest.fixture(params=["same", "across"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    with other_file_system(tmp_path) as other:
        made = Disk(tmp_path / "a", tmp_path / "b" if request.param == "same" else other / "b")
        made.fill()
        yield made


@pytest_asyncio.fixture
async def directory(database: Database) -> AsyncIterator[Directory]:
    async with Directory(database.dsn) as made:
        yield made


async def test_moved(disk: Disk, database: Database, directory: Directory) -> None:
    await add_record(database, disk.source)
    before = checksum(disk.source)
    async with make_moves(directory, disk) as moves:
        assert await move(moves, disk) == 2
    assert disk.files() == [disk.target]
    assert checksum(disk.target) == before
    found = disk.target.stat()
    assert (found.st_mtime_ns, found.st_mode & 0o7777) == (MTIME_NS, 0o640)
    if os.geteuid() == 0:
        assert (found.st_uid, found.st_gid) == (OWNER, OWNER)
    rows = await database.fetch("SELECT id, recordingfile FROM pbxapi.cdr ORDER BY id")
    assert [tuple(r) for r in rows] == [
        (10000, str(disk.target)),
        (10001, str(disk.target)),
        (10002, "/x"),
    ]
    assert await database.fetch("SELECT FROM pbxapi.record_moves") == []
