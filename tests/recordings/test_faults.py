"""A move that is disturbed at any point loses nothing: kill -9, and every error of the kernel."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import get_args

import asyncpg
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from pbxapi.directory.pool import Directory
from pbxapi.errors import DatabaseUnavailable
from pbxapi.faults import Fault
from pbxapi.recordings import copying
from pbxapi.recordings.moves import RecordMoves
from tests.recordings.faults import (
    ERRORS,
    NEVER_FAIL,
    FaultyQueries,
    FaultySyscalls,
    Point,
    Trace,
    When,
    failing,
)
from tests.recordings.world import (
    CHECKSUM,
    PORTIONS,
    Disk,
    add_record,
    checksum,
    losses,
    make_moves,
    move,
    other_file_system,
)
from tests.services.postgres import Database

#: Every call fails in each of the ways, which takes some minutes.
ALL_ERRORS = os.environ.get("PBXAPI_ALL_ERRORS") == "1"
#: Calls after which the recovery is killed as well, at each of its own.
AGAIN = {
    "same": (),
    "across": ("rename_to_new",),
    "same-linked": ("link",),
    "across-linked": (),
}


@pytest.fixture(params=AGAIN)
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def disk(variant: str, tmp_path: Path) -> Iterator[Disk]:
    with other_file_system(tmp_path) as other:
        # In memory, where that is enough: a flush of a disk takes longer than all the rest.
        yield Disk((other if variant.startswith("same") else tmp_path) / "a", other / "b")


@pytest_asyncio.fixture
async def directory(database: Database) -> AsyncIterator[Directory]:
    async with Directory(database.dsn) as made:
        yield made


class Trial:
    """A move with one fault, and a start of the daemon after it."""

    def __init__(
        self, database: asyncpg.Connection, directory: Directory, disk: Disk, variant: str
    ):
        self._database = database
        self._directory = directory
        self._disk = disk
        self._renames = not variant.endswith("-linked")

    def _moves(self, trace: Trace) -> RecordMoves:
        syscalls = FaultySyscalls(trace, renames=self._renames)
        return make_moves(FaultyQueries(self._directory, trace), self._disk, syscalls=syscalls)

    async def run(self, trace: Trace) -> str:
        """How it ended: "moved", or the number of the error."""
        self._disk.fill()
        await self._database.execute("DELETE FROM pbxapi.cdr; DELETE FROM pbxapi.record_moves")
        await add_record(self._database, self._disk.source)
        async with self._moves(trace) as moves:
            try:
                await move(moves, self._disk)
            except Fault as fault:
                return str(fault.code)
            except DatabaseUnavailable:
                return "901"
        return "moved"

    async def what_is_lost(self, end: str) -> list[str]:
        """What is wrong at once, after a start of the daemon, and with what the client heard."""
        found = []
        if not [path for path in self._disk.files() if checksum(path) == CHECKSUM]:
            found.append("there was an instant without a whole recording")
        async with self._moves(Trace()) as moves:
            if not await moves.recover():
                found.append("a move cannot be settled")
        if end == "moved" and self._disk.files() != [self._disk.target]:
            found.append("it was moved, the client heard")
        return found + await losses(self._database, self._disk)


@pytest_asyncio.fixture
async def trial(
    database: Database,
    directory: Directory,
    disk: Disk,
    variant: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Trial]:
    for name, n_bytes in PORTIONS.items():
        monkeypatch.setattr(copying, name, n_bytes)
    connection = await asyncpg.connect(database.dsn)
    with capture_logs():
        yield Trial(connection, directory, disk, variant)
    await connection.close()


@pytest.mark.timeout(120)
async def test_killed_at_every_point_it_loses_nothing(
    database: Database, trial: Trial, variant: str, disk: Disk
) -> None:
    whole = Trace()
    assert await trial.run(whole) == "moved"
    calls = whole.calls
    # Without renameat2 only the end is another.
    start = last(calls, "link") - 1 if variant.endswith("-linked") else 0
    again = [last(calls, name) for name in AGAIN[variant]]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.recordings.killing", database.dsn, variant, disk.a, disk.b,
        *map(str, (start, *again)),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    tried = json.loads(output)
    assert tried["move"] == len(calls) - start + 1
    assert tried["recovery"] >= 30 * len(again)


def last(calls: list[str], name: str) -> int:
    return len(calls) - 1 - calls[::-1].index(name)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def faults_of(calls: list[str]) -> Iterator[tuple[Point, int]]:
    """Every call that can fail, and how: an error each, in turn; all of them if that is asked."""
    errors = list(ERRORS)
    for call, name in enumerate(calls):
        if name in NEVER_FAIL:
            continue
        for turn, when in enumerate(get_args(When)):
            if ALL_ERRORS and not name.startswith("sql "):
                yield from ((Point(call, when), number) for number in errors)
            else:
                yield Point(call, when), errors[(call + turn) % len(errors)]


@pytest.mark.timeout(120)
async def test_whatever_fails_nothing_is_lost(trial: Trial, variant: str) -> None:
    whole = Trace()
    assert await trial.run(whole) == "moved"
    ends: Counter[str] = Counter()
    before = descriptors()
    for point, number in faults_of(whole.calls):
        trace = Trace(point, failing(number))
        end = await trial.run(trace)
        found = await trial.what_is_lost(end)
        assert found == [], (trace.calls, point, number, end)
        ends[end] += 1
    assert descriptors() <= before + 2, "descriptors are left open"
    assert set(ends) == {"moved", "810", "811", "812", "901"}
    assert ends.total() > 100, ends
    assert ends["moved"] < ends.total() / 2, ends
