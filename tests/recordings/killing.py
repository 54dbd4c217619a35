"""Kills the mover at every point, starts it again, and looks whether the recording is there.

A program of its own: it forks a process for each point, which is cheap, and needs to be one that
has no threads. Its standard output is one JSON object.

    python -m tests.recordings.killing DSN same|across|same-linked|across-linked A B [again]
"""

import asyncio
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from pbxapi import log
from pbxapi.directory.queries import QUERIES
from pbxapi.recordings import copying
from pbxapi.recordings.moves import RecordMoves
from tests.recordings.faults import FaultyQueries, FaultySyscalls, Point, Trace, kill
from tests.recordings.world import PORTIONS, Disk, add_record, losses, make_moves, move


class OneConnection:
    """The statements of the directory on one connection: there is no time for a pool."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def fetch(self, name: str, /, *args: object) -> Any:
        return await self.connection.fetch(QUERIES[name], *args)


class Killing:
    """One variant of a move, on one database."""

    def __init__(self, dsn: str, variant: str, disk: Disk) -> None:
        self._dsn = dsn
        self._renames = not variant.endswith("-linked")
        self._disk = disk

    @asynccontextmanager
    async def _daemon(self, trace: Trace) -> AsyncIterator[tuple[RecordMoves, OneConnection]]:
        connection = await asyncpg.connect(self._dsn)
        queries = OneConnection(connection)
        syscalls = FaultySyscalls(trace, renames=self._renames)
        faulty = FaultyQueries(queries, trace)
        async with make_moves(faulty, self._disk, syscalls=syscalls) as moves:
            yield moves, queries
        await connection.close()

    async def begin(self, point: Point) -> None:
        """A daemon that moves, and dies at this point."""
        self._disk.fill()
        async with self._daemon(Trace(point, kill)) as (moves, queries):
            await queries.connection.execute(
                "DELETE FROM pbxapi.cdr; DELETE FROM pbxapi.record_moves"
            )
            await add_record(queries.connection, self._disk.source)
            await move(moves, self._disk)

    async def recover(self, point: Point) -> None:
        """A daemon that starts, and dies at this point."""
        async with self._daemon(Trace(point, kill)) as (moves, _queries):
            await moves.recover()

    async def check(self) -> None:
        """After a start that nothing disturbs, all is in order."""
        async with self._daemon(Trace()) as (moves, queries):
            assert await moves.recover(), "something is left in the journal"
            found = await losses(queries.connection, self._disk)
        assert found == [], found

    async def check_and_begin(self, point: Point) -> None:
        """Both in one process, since a process costs more than what it does here."""
        await self.check()
        await self.begin(point)


def forked(work: Coroutine[Any, Any, None]) -> bool:
    """Run in a process of its own; returns whether that was killed, raises where it failed."""
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.run(work)
        except BaseException:  # noqa: BLE001 - this is the whole process
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    work.close()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "a process failed"
    return False


def once(killing: Killing, start: int) -> int:
    """Die before every call of a move, and after the last one; returns how often.

    What is on disk after a call is what is there before the next one.
    """
    call = start
    killed = forked(killing.begin(Point(call, "before")))
    while killed:
        call += 1
        killed = forked(killing.check_and_begin(Point(call, "before")))
    forked(killing.check_and_begin(Point(call - 1, "after")))
    forked(killing.check())
    return call - start + 1


def twice(killing: Killing, first: int) -> int:
    """Die after this call of a move, and again before every call of the recovery."""
    call = 0
    forked(killing.begin(Point(first, "after")))
    while forked(killing.recover(Point(call, "before"))):
        call += 1
        forked(killing.check_and_begin(Point(first, "after")))
    forked(killing.check())
    return call


def main(dsn: str, variant: str, a: str, b: str, start: str, *again: str) -> None:
    """Print how often it was killed; fail at the first loss."""
    log.configure("critical")
    vars(copying).update(PORTIONS)
    gc.freeze()
    killing = Killing(dsn, variant, Disk(Path(a), Path(b)))
    tried = {
        "move": once(killing, int(start)),
        "recovery": sum(twice(killing, int(first)) for first in again),
    }
    print(json.dumps(tried))


if __name__ == "__main__":
    main(*sys.argv[1:])
